"""The types of resources with public ids, and the `_id` that CouchDB sorts and Fauxton shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.store.doc_ids import digits


@dataclass(frozen=True)
class ResourceType:
    """Documents with this ``name`` as ``type``, in the database ``database``. Clients set their ``members``."""

    name: str
    database: str
    members: tuple[str, ...] = ()

    def doc_id(self, public_id: int) -> str:
        """Return the `_id` of ``public_id``; as text these sort like the numbers."""
        return f"{self.name}:{digits(public_id)}"

    def public_id(self, doc_id: str) -> int:
        """Return the public id in ``doc_id``."""
        return int(doc_id.removeprefix(f"{self.name}:"))

    def body(self, fields: Mapping[str, Any]) -> bytes:
        """Return an item as clients read it: JSON of its id and of the members that are set."""
        public = {name: fields[name] for name in ("id", *self.members) if name in fields}
        return json.dumps(public, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def first(self) -> str:
        """The lowest possible `_id`."""
        return self.doc_id(0)

    @property
    def last(self) -> str:
        """An `_id` at or above the highest possible one."""
        return f"{self.name}:{'9' * 16}"


DOCUMENT = ResourceType("document", "documents", ("title", "content", "project_id"))
PROJECT = ResourceType("project", "projects", ("name", "description"))
KEY = ResourceType("key", "keys")

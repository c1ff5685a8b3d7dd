"""The kinds of thing that have public ids, and how an id becomes the `_id` that CouchDB sorts and Fauxton shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.store.doc_ids import digits


@dataclass(frozen=True)
class ResourceType:
    """A kind of resource: its documents have ``type`` ``name`` and live in the database ``database``.

    ``members`` are those that clients set.
    """

    name: str
    database: str
    members: tuple[str, ...] = ()

    def doc_id(self, public_id: int) -> str:
        """Return the `_id` of ``public_id``; as text these sort like the numbers."""
        return f"{self.name}:{digits(public_id)}"

    def public_id(self, doc_id: str) -> int:
        """Return the id that ``doc_id`` was made of."""
        return int(doc_id.removeprefix(f"{self.name}:"))

    def body(self, fields: Mapping[str, Any]) -> bytes:
        """Return what clients get to read of an item, as JSON: its id, and those of its members that are set."""
        shown = {name: fields[name] for name in ("id", *self.members) if name in fields}
        return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()

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

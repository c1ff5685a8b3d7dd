"""The types of resources with public ids: the `_id`, the times and the JSON of their items."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from app.store.items import Fields, StoredItem, digits


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

    def public(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return an item as clients read it: its id and the members that are set."""
        return {name: fields[name] for name in ("id", *self.members) if name in fields}

    def body(self, fields: Mapping[str, Any]) -> bytes:
        """Return an item as clients read it: JSON of its id and of the members that are set."""
        return json.dumps(self.public(fields), ensure_ascii=False, separators=(",", ":")).encode()

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


class RenderedItem(NamedTuple):
    """One revision of an item. ``body`` is its JSON in UTF-8, without a line end.

    ``updated_at`` is in seconds since the epoch, None if the item does not have a usable time. ``is_conflicted``:
    replication has brought other versions that could not be merged with this one.
    """

    public_id: int
    revision: str
    project_id: int | None
    body: bytes
    updated_at: int | None = None
    is_conflicted: bool = False

    @classmethod
    def of(cls, resource_type: ResourceType, item: StoredItem, *, is_conflicted: bool = False) -> RenderedItem:
        """Render a stored item."""
        body = resource_type.body(item.fields)
        return cls(item.public_id, item.revision, item.project_id, body, updated_at(item.fields), is_conflicted)


def updated_at(fields: Fields) -> int | None:
    """Return when an item was updated, in whole seconds since the epoch; None without a usable time."""
    try:
        moment = datetime.fromisoformat(fields["updated_at"])
    except (KeyError, TypeError, ValueError):
        return None
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """Return ``moment`` as RFC 3339 text in UTC with microseconds; as text these sort like the moments."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def timestamp() -> str:
    """Return the present moment as RFC 3339 text."""
    return stamp(now())

"""Items as they are in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class StoredItem:
    """An item with the revision that its tag is made of; a deleted one has what its tombstone keeps."""

    revision: str
    fields: Mapping[str, Any]

    @property
    def public_id(self) -> int:
        """The id that clients know it by."""
        found: int = self.fields["id"]
        return found

    @property
    def project_id(self) -> int | None:
        """The project that it is in, if it is a document and in one."""
        found: int | None = self.fields.get("project_id")
        return found

    @property
    def is_deleted(self) -> bool:
        """Whether this is a tombstone."""
        return bool(self.fields.get("_deleted"))

    def nowhere(self) -> StoredItem:
        """Return the same item in no project."""
        return StoredItem(self.revision, {name: it for name, it in self.fields.items() if name != "project_id"})


class Change(NamedTuple):
    """What an item was, None if it is new, and what it is."""

    before: StoredItem | None
    after: StoredItem

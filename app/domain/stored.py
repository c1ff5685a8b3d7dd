"""Items as they are in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.errors import PreconditionFailed


@dataclass(frozen=True)
class Stored:
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

    def nowhere(self) -> Stored:
        """Return the same item in no project."""
        return Stored(self.revision, {name: it for name, it in self.fields.items() if name != "project_id"})


class Change(NamedTuple):
    """What an item was, None if it is new, and what it is."""

    before: Stored | None
    after: Stored


def stale(found: Stored) -> PreconditionFailed:
    """Return what to say to who demanded another revision than the one ``found``."""
    return PreconditionFailed(headers={"ETag": f'"{found.revision}"'})


def merged(members: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat ``members`` with a merge patch applied (RFC 7396): what is None in ``patch`` goes."""
    return {name: value for name, value in {**members, **patch}.items() if value is not None}

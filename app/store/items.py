"""Items as the packages above the store know them, without CouchDB's own members, and the writes that change them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, NamedTuple

from app.errors import PreconditionFailed

Fields = Mapping[str, Any]
# CouchDB's members and ours, which are no fields of an item.
OWN = frozenset({"_id", "_rev", "_deleted", "_conflicts", "nonce"})
# The hidden member of a restored item: the revision that its content comes from.
RESTORED_FROM = "restored_from"
# The hidden member of a merge: the revisions that it joined, sorted.
MERGED_FROM = "merged_from"
# JSON numbers are exact up to here in every client (RFC 8259, section 6).
MAX_ID = 2**53 - 1


def digits(number: int) -> str:
    """Return ``number`` as 16 digits, so that `_id`s sort as text like the numbers do."""
    return f"{number:016d}"


@dataclass(frozen=True)
class WriteId:
    """The identity of a write: every revision carries the nonce of its write, so that a repetition recognises it.

    ``ids`` are reserved for the items that the write creates.

    ``since`` is set where a crashed run may have written under this id already: no such write is older than that time
    (RFC 3339).
    """

    ids: tuple[int, ...] = ()
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    since: str | None = None

    def part(self, name: str) -> WriteId:
        """Return the id of one of several writes of a request; the same name always gives the same id."""
        return WriteId(nonce=sha256(f"{self.nonce} {name}".encode()).hexdigest()[:32], since=self.since)

    @property
    def compensation(self) -> WriteId:
        """The id of the write that undoes this one, so that a repetition does not take this one for done."""
        return self.part("undone").as_new()

    @property
    def nonces(self) -> tuple[str, str]:
        """The nonces of the write and of its compensation."""
        return self.nonce, self.compensation.nonce

    def as_new(self) -> WriteId:
        """Return the same id for a write that does not look for an earlier run."""
        return replace(self, since=None)


@dataclass(frozen=True)
class StoredItem:
    """One revision of an item. Of a deleted one, ``fields`` are those that its tombstone keeps.

    ``conflicts`` are the other live leaves: revisions that replication has brought beside the current one.
    """

    doc_id: str
    revision: str
    fields: Fields
    is_deleted: bool = False
    nonce: str | None = field(default=None, repr=False)
    conflicts: tuple[str, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> StoredItem:
        """Return the item in a document as CouchDB returns it."""
        fields = {name: value for name, value in document.items() if name not in OWN}
        is_deleted, conflicts = bool(document.get("_deleted")), tuple(document.get("_conflicts", ()))
        return cls(document["_id"], document["_rev"], fields, is_deleted, document.get("nonce"), conflicts)

    @property
    def public_id(self) -> int:
        """The id that clients use."""
        public_id: int = self.fields["id"]
        return public_id

    @property
    def project_id(self) -> int | None:
        """The project of a document that is in one."""
        project_id: int | None = self.fields.get("project_id")
        return project_id

    @property
    def updated_by(self) -> str | None:
        """The principal that wrote this revision, None if it is not known."""
        updated_by: str | None = self.fields.get("updated_by")
        return updated_by

    @property
    def characters(self) -> int:
        """The number of characters in its texts."""
        return sum(len(value) for value in self.fields.values() if isinstance(value, str))

    @property
    def generation(self) -> int:
        """The number of this revision in its history, from 1."""
        return generation_of(self.revision)

    def is_by(self, write_id: WriteId) -> bool:
        """Return whether this revision was written under ``write_id``."""
        return self.nonce == write_id.nonce

    def is_older_than(self, time: str) -> bool:
        """Return whether the item was last updated before ``time``. A tombstone made in Fauxton has no time."""
        return bool(self.fields.get("updated_at", time) < time)


def generation_of(revision: str) -> int:
    """Return the number of a revision in its history, from 1."""
    return int(revision.partition("-")[0])


def new_document(doc_id: str, fields: Fields) -> dict[str, Any]:
    """Return the first revision of a document that is written once, so that it needs no nonce."""
    return {"_id": doc_id, **fields}


class Change(NamedTuple):
    """An item before a write, None if the write created it, and after it."""

    before: StoredItem | None
    after: StoredItem


@dataclass(frozen=True)
class Condition:
    """The condition of a write (RFC 9110, sections 13.1.1 and 13.1.2).

    One of ``tags`` must be current, `*` stands for any, and None sets no condition.

    None of ``refused`` may be current; there, too, `*` stands for any. ``reason`` explains a failure to the client.

    ``value`` holds the public members that the item must have; None sets no condition.
    """

    tags: frozenset[str] | None = None
    refused: frozenset[str] = frozenset()
    reason: str | None = None
    value: Fields | None = None

    @property
    def is_unconditional(self) -> bool:
        """Whether any revision may be replaced."""
        return self.value is None and (self.tags is None or "*" in self.tags)

    @property
    def of_deleted(self) -> Condition:
        """The same condition for a deleted item: `*` stands for any version that exists, and the item has none."""
        tags = None if self.tags is None else self.tags - {"*"}
        return replace(self, tags=tags, refused=self.refused - {"*"})

    def check(self, revision: str, members: Fields | None = None) -> None:
        """Raise PreconditionFailed, with the current tag, unless ``revision`` may be replaced or copied.

        ``members`` are its public members, which a condition with a ``value`` needs. The database compares the revision
        of an item once more when the next one is stored on top of it.
        """
        is_met = self.is_unconditional or self._is_met(revision, members)
        if not is_met or not self.refused.isdisjoint({revision, "*"}):
            raise PreconditionFailed(self.reason, headers={"ETag": f'"{revision}"'})

    def _is_met(self, revision: str, members: Fields | None) -> bool:
        has_tag = self.tags is None or not self.tags.isdisjoint({revision, "*"})
        return has_tag and (self.value is None or self.value == members)


ANY = Condition()


# Returns the fields of an item's next revision, None to leave an existing item as it is. It is called again for each
# try, with the item as it is then.
Compose = Callable[[StoredItem | None], Fields | None]


@dataclass(frozen=True)
class Update:
    """One of many writes: of the fields that ``compose`` returns, or of a tombstone that keeps these fields."""

    doc_id: str
    compose: Compose
    write_id: WriteId
    deletes: bool = False


@dataclass(frozen=True)
class ItemWrite:
    """The next revision of an item: it replaces the revision ``replaces``, or creates the item without one.

    ``conflicts`` are the other live leaves, which stay.
    """

    doc_id: str
    fields: Fields
    write_id: WriteId
    replaces: str | None = None
    deletes: bool = False
    conflicts: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the document that CouchDB stores."""
        document = {"_id": self.doc_id, **self.fields, "nonce": self.write_id.nonce}
        if self.replaces:
            document["_rev"] = self.replaces
        return {**document, "_deleted": True} if self.deletes else document

    def stored(self, revision: str) -> StoredItem:
        """Return the item as it is once this is stored."""
        return StoredItem(self.doc_id, revision, self.fields, self.deletes, self.write_id.nonce, self.conflicts)

"""A version of an item, and its document in `-history`, which is the same in every region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.store.items import MERGED_FROM, Fields, StoredItem, new_document
from app.store.leaves import Leaf, tombstone_nonce, winner_order

# The end of the `_id` of a version whose content is lost. Another region may have that version, under the other `_id`.
LOST = ":lost"


@dataclass(frozen=True)
class Version:
    """One revision of an item, and the revisions that it was made from: that below it in the tree, then merged ones.

    ``members`` are the public ones without the id; of a deletion, its project. They are None if the version is lost.

    ``updated_by`` is the principal that the revision names; see ``attributed``.
    """

    doc_id: str
    revision: str
    members: Fields | None = None
    created_at: str | None = None
    updated_at: str | None = None
    updated_by: str | None = None
    parents: tuple[str, ...] = ()
    nonce: str | None = None
    is_deleted: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether CouchDB had compacted the content before it was captured."""
        return self.members is None

    @property
    def order(self) -> tuple[int, str]:
        """The sort key of the versions of one item: generation and hash."""
        return winner_order(self.revision)

    @property
    def without_values(self) -> Version:
        """The same version, its members left out."""
        return self if self.members is None else replace(self, members={})

    @property
    def characters(self) -> int:
        """The number of characters in its texts."""
        return sum(len(value) for value in (self.members or {}).values() if isinstance(value, str))

    @property
    def stored_id(self) -> str:
        """The `_id` in `-history`."""
        return version_id(self.doc_id, self.revision) + (LOST if self.is_lost else "")

    def document(self) -> dict[str, Any]:
        """Return the document that CouchDB stores, its members in the same order in every region."""
        type_name, _, number = self.doc_id.partition(":")
        head = {"item": type_name, "id": int(number)}
        if self.members is None:
            return new_document(self.stored_id, {"type": "lost", **head, "parents": list(self.parents), "lost": True})
        hidden = {
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "updated_by": self.updated_by,
            "parents": list(self.parents),
            "nonce": self.nonce,
            "deleted": self.is_deleted or None,
        }
        present = {name: value for name, value in hidden.items() if value is not None}
        return new_document(self.stored_id, {"type": "version", **head, "value": dict(self.members), **present})

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Version:
        """Return the version in a document of `-history`."""
        return cls(
            item_of(document["_id"]),
            revision_of(document["_id"]),
            document.get("value"),
            document.get("created_at"),
            document.get("updated_at"),
            document.get("updated_by"),
            tuple(document["parents"]),
            document.get("nonce"),
            bool(document.get("deleted")),
        )

    @classmethod
    def of_leaf(cls, leaf: Leaf, names: Sequence[str]) -> Version:
        """Return a leaf as a version, with the members ``names`` in this order."""
        return cls.of_item(leaf.item, names, *leaf.lineage[1:2])

    @classmethod
    def of_item(cls, item: StoredItem, names: Sequence[str], parent: str | None = None) -> Version:
        """Return a revision as a version; of a deletion, with its project. ``parent`` is the revision below it.

        It is a function of the revision alone, so that every process and every region writes the same one.
        """
        fields = item.fields
        parents = [*([parent] if parent else ()), *fields.get(MERGED_FROM, ())]
        return cls(
            item.doc_id,
            item.revision,
            {name: fields[name] for name in (("project_id",) if item.is_deleted else names) if name in fields},
            fields.get("created_at"),
            fields.get("updated_at"),
            item.updated_by,
            tuple(dict.fromkeys(parents)),
            item.nonce,
            item.is_deleted,
        )

    @property
    def is_merged_away(self) -> bool:
        """Whether it is the tombstone of a leaf that a merge has replaced, and no deletion of the item."""
        return self.is_deleted and bool(self.parents) and self.nonce == tombstone_nonce(self.parents[0])

    def attributed(self, parent: Version | None) -> Version:
        """Return the same version without a principal if it was not written through the API.

        An edit in Fauxton keeps the principal and the nonce of its ``parent``, and changes the content. A proof of a
        write keeps all of them (app/store/confirmed_writes.py). If the parent is not known, assume a write of the API.
        """
        if self.nonce is None:
            return replace(self, updated_by=None)
        if parent is None or parent.is_lost or self.nonce != parent.nonce:
            return self
        is_same = (self.members, self.is_deleted) == (parent.members, parent.is_deleted)
        return self if is_same else replace(self, updated_by=None)


def version_id(doc_id: str, revision: str) -> str:
    """Return the `_id` of a version: as text, those of an item sort by generation and hash."""
    generation, _, digest = revision.partition("-")
    return f"version:{doc_id}:{int(generation):010d}-{digest}"


def mark_id(doc_id: str) -> str:
    """Return the `_id` of the mark that an item is forgotten."""
    return f"forgotten:{doc_id}"


def item_of(stored_id: str) -> str:
    """Return the `_id` of the item that an `_id` of a version names."""
    return ":".join(stored_id.split(":")[1:3])


def revision_of(stored_id: str) -> str:
    """Return the revision that an `_id` of a version names."""
    generation, _, digest = stored_id.removesuffix(LOST).rpartition(":")[2].partition("-")
    return f"{int(generation)}-{digest}"

"""Leaves are read in CouchDB's order, and revisions are stored on top of some of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.store import Database, Store
from app.store.items import ItemWrite, WriteId
from app.store.leaves import Leaves, merge_write, tombstone_write
from tests.replication import replicate, revision

ID = "document:0000000000000001"


@pytest.fixture
def leaves(server_url: str, prefix: str, documents: Database) -> Iterator[Leaves]:  # noqa: ARG001
    """The leaves in the database of ``documents``."""
    store = Store(server_url, prefix)
    yield store.leaves("documents")
    store.close()


@pytest.fixture
def first(documents: Database) -> str:
    """The first revision of a document."""
    return documents.create({"_id": ID, "text": "first"})


def branch(server_url: str, database: Database, *lineage: str) -> None:
    replicate(server_url, database.name, ({"_id": ID, "text": lineage[0]}, lineage))


def test_live_leaves_are_read_with_the_winner_first(
    server_url: str, documents: Database, leaves: Leaves, first: str
) -> None:
    low, high, longest = revision(2, "a"), revision(2, "f"), revision(3, "0")
    for lineage in ([low, first], [high, first], [longest, revision(2, "1"), first]):
        branch(server_url, documents, *lineage)
    assert leaves.revisions([ID, "document:absent"]) == {ID: (longest, high, low)}
    each = leaves.read([ID])[ID]
    assert [leaf.revision for leaf in each] == [longest, high, low]
    assert [leaf.item.fields for leaf in each] == [{"text": longest}, {"text": high}, {"text": low}]
    assert each[0].lineage == (longest, revision(2, "1"), first)


def test_a_merge_and_tombstones_leave_one_live_leaf(
    server_url: str, documents: Database, leaves: Leaves, first: str
) -> None:
    for letter in "abc":
        branch(server_url, documents, revision(2, letter), first)
    winner, *others = leaves.read([ID])[ID]
    merge = merge_write(winner, [revision(2, letter) for letter in "abc"], {"text": "merge"})
    leaves.store([merge, *(tombstone_write(leaf, {"text": "deleted"}) for leaf in others)])
    (leaf,) = leaves.read([ID])[ID]
    assert (leaf.item.fields, leaf.item.nonce) == ({"text": "merge"}, merge.write_id.nonce)
    assert sorted(leaf.item.is_deleted for leaf in leaves.read_all(ID)) == [False, True, True]


def test_a_revision_on_top_of_no_leaf_is_not_stored(documents: Database, leaves: Leaves, first: str) -> None:
    second = documents.replace({"_id": ID, "_rev": first, "text": "second"})
    leaves.store([ItemWrite(ID, {"text": "late"}, WriteId(), first)])
    assert leaves.revisions([ID]) == {ID: (second,)}


def test_a_deleted_document_has_no_live_leaf(documents: Database, leaves: Leaves, first: str) -> None:
    documents.replace({"_id": ID, "_rev": first, "_deleted": True})
    assert leaves.read([ID]) == {}
    assert [leaf.item.is_deleted for leaf in leaves.read_all(ID)] == [True]


def test_the_nonces_of_a_merge_depend_on_the_revisions_alone(
    server_url: str, documents: Database, leaves: Leaves, first: str
) -> None:
    for letter in "ab":
        branch(server_url, documents, revision(2, letter), first)
    winner, other = leaves.read([ID])[ID]
    one = merge_write(winner, [winner.revision, other.revision], {})
    assert one.write_id.nonce == merge_write(winner, [other.revision, winner.revision], {"a": 1}).write_id.nonce
    assert tombstone_write(other, {}).write_id.nonce == tombstone_write(other, {"a": 1}).write_id.nonce

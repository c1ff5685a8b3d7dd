"""The leaves of documents: reads the live ones in CouchDB's order, and stores revisions on top of some of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from app.store.database import CountWrites, lineage_of
from app.store.exchange import DocumentFailure, Exchange
from app.store.items import Fields, ItemWrite, StoredItem, WriteId

# Live leaves of one document that are read. If there are more, they are made faster than they can be merged.
MAX_LEAVES = 50
# The texts of a document's leaves that are read, in characters.
MAX_CHARACTERS = 2**25
# Leaves and documents that one request reads; a leaf has up to 8 MB.
LEAVES_PER_READ, DOCUMENTS_PER_READ = 10, 50
# The number of the rules for merges: releases with different rules must not write the same nonce.
ALGORITHM = 1


@dataclass(frozen=True)
class Leaf:
    """A revision without a successor, and the revisions up to it, the latest first."""

    item: StoredItem
    lineage: tuple[str, ...] = ()

    @property
    def revision(self) -> str:
        """The revision that the leaf is."""
        return self.item.revision


def winner_order(revision: str) -> tuple[int, str]:
    """Return the sort key of a live revision; CouchDB's winner has the highest.

    The rule is in CouchDB's documentation ("Conflicts and revision trees"): the longest history, then the highest hash.
    """
    generation, _, digest = revision.partition("-")
    return int(generation), digest


class Leaves:
    """The leaves in one database. All of it raises Unavailable."""

    def __init__(self, exchange: Exchange, count_writes: CountWrites | None = None) -> None:
        self._exchange, self._count_writes = exchange, count_writes or (lambda _: nullcontext(set()))

    def revisions(self, doc_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return the live leaves of each existing document by `_id`, the winner first, without reading the others."""
        revisions: dict[str, tuple[str, ...]] = {}
        for part in _parts(doc_ids, DOCUMENTS_PER_READ):
            rows = self._exchange.rows("_all_docs", params={"include_docs": True, "conflicts": True}, keys=part)
            for document in (row["doc"] for row in rows if row.get("doc")):
                live = {document["_rev"], *document.get("_conflicts", ())}
                revisions[document["_id"]] = tuple(sorted(live, key=winner_order, reverse=True))
        return revisions

    def read(self, doc_ids: Sequence[str]) -> dict[str, tuple[Leaf, ...]]:
        """Return up to MAX_LEAVES live leaves of each existing document by `_id`, the winner first."""
        return {doc_id: self.read_revisions(doc_id, live) for doc_id, live in self.revisions(doc_ids).items()}

    def read_revisions(self, doc_id: str, revisions: Sequence[str]) -> tuple[Leaf, ...]:
        """Return those of the revisions that have bodies, as if they were leaves, in the same order.

        At most MAX_LEAVES are read, and none after MAX_CHARACTERS.
        """
        leaves: dict[str, Leaf] = {}
        for part in _parts(revisions[:MAX_LEAVES], LEAVES_PER_READ):
            if sum(leaf.item.characters for leaf in leaves.values()) > MAX_CHARACTERS:
                break
            documents = self._exchange.revisions([(doc_id, revision) for revision in part], revs=True)
            leaves |= {leaf.revision: leaf for leaf in map(_leaf, documents)}
        return tuple(leaves[revision] for revision in revisions if revision in leaves)

    def read_many(self, revision_ids: Sequence[tuple[str, str]], *, with_lineage: bool) -> list[Leaf]:
        """Return those of the revisions, each an `_id` and a `_rev`, whose bodies exist, read in one request."""
        return [_leaf(document) for document in self._exchange.revisions(revision_ids, revs=with_lineage)]

    def read_all(self, doc_id: str) -> tuple[Leaf, ...]:
        """Return all leaves of a document, tombstones included, in no order.

        Each merge leaves tombstones, so there may be hundreds of them.
        """
        params = {"open_revs": "all", "revs": True}
        results = self._exchange.find_list(doc_id, params=params)
        return tuple(_leaf(result["ok"]) for result in results if "ok" in result)

    def sequence(self) -> object:
        """Return the present place in the feed of the database."""
        return self._exchange.send("GET", members=("update_seq",))["update_seq"]

    def branched_since(self, sequence: object, *, limit: int) -> tuple[list[str], object, bool]:
        """Return the `_id`s of those documents with several leaves that are among ``limit`` changes after ``sequence``.

        The leaves may be tombstones. Also returns the place after them, and whether the feed ends there.
        """
        params = {"since": sequence, "limit": limit, "style": "all_docs"}
        changes = self._exchange.send("GET", "_changes", members=("results", "last_seq"), params=params)
        results = changes["results"]
        return [row["id"] for row in results if len(row["changes"]) > 1], changes["last_seq"], len(results) < limit

    def store(self, writes: Sequence[ItemWrite]) -> None:
        """Store revisions, each on top of the leaf that it replaces; there may be several for one document.

        Each is stored or not independently, and the answers for those of one document look alike: read the leaves
        afterwards. A leaf that has a successor by then is refused.
        """
        if not writes:
            return
        doc_ids = {write.doc_id for write in writes}
        with self._count_writes(doc_ids) as unknown:
            outcomes = self._exchange.write_many([write.document() for write in writes])
            if DocumentFailure.UNKNOWN in outcomes.values():
                unknown |= doc_ids


def merge_write(winner: Leaf, revisions: Collection[str], fields: Fields) -> ItemWrite:
    """Return the merge of ``revisions`` on top of the winner; its nonce is a function of the revisions alone."""
    return ItemWrite(winner.item.doc_id, fields, _write_id("merge", *sorted(revisions)), winner.revision)


def tombstone_write(leaf: Leaf, fields: Fields) -> ItemWrite:
    """Return the tombstone of a leaf that others supersede; its nonce is a function of the leaf alone."""
    return ItemWrite(leaf.item.doc_id, fields, _write_id("tombstone", leaf.revision), leaf.revision, deletes=True)


def tombstone_nonce(revision: str) -> str:
    """Return the nonce of the tombstone that a merge stores on a leaf."""
    return _write_id("tombstone", revision).nonce


def _write_id(*names: str) -> WriteId:
    return WriteId(nonce=sha256(" ".join((str(ALGORITHM), *names)).encode()).hexdigest()[:32])


def _leaf(document: Mapping[str, Any]) -> Leaf:
    lineage = lineage_of(document["_revisions"]) if "_revisions" in document else ()
    return Leaf(StoredItem.of({name: it for name, it in document.items() if name != "_revisions"}), tuple(lineage))


def _parts(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]

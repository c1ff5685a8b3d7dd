"""The feed of changes of one database: its identity, its places, and its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from app.errors import Unavailable
from app.store.exchange import Exchange
from app.store.items import StoredItem

# Items with several leaves that one request reads.
ITEMS_PER_READ = 50


@dataclass(frozen=True)
class FeedState:
    """The identity of a feed, and its present place.

    ``is_exact``: there is one copy of the database, so that the numbers of its places can be compared. The copies in a
    cluster count differently (docs/couchdb-quirks.md).
    """

    identity: str
    sequence: int | str
    is_exact: bool


@dataclass(frozen=True)
class FeedRow:
    """The latest revision of an item, or its tombstone, and its place. Without its document it has no fields."""

    item: StoredItem
    sequence: int | str


@dataclass(frozen=True)
class FeedPart:
    """Consecutive rows of the feed, the place after them, and whether the feed ends there."""

    rows: tuple[FeedRow, ...]
    sequence: int | str
    is_last: bool


class ChangedLeaves(NamedTuple):
    """All leaves of an item after a change, tombstones included."""

    doc_id: str
    revisions: tuple[str, ...]


@dataclass(frozen=True)
class LeavesPart:
    """The leaves of items in the order of their changes, the place after them, and whether the feed ends there."""

    items: tuple[ChangedLeaves, ...]
    sequence: int | str
    is_last: bool


class Feed:
    """The feed of changes of a database. All of it raises Unavailable."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def identity(self) -> str | None:
        """Return the random id of the feed, which `python -m couchapp deploy` writes; None if there is none."""
        document = self._exchange.find("_local", "feed")
        return None if document is None else str(document.get("identity"))

    def state(self) -> FeedState:
        """Return the present state. Raises Unavailable also if the feed has no identity, which `/readyz` reports."""
        identity = self.identity()
        if identity is None:
            raise Unavailable
        information = self._exchange.send("GET", members=("update_seq",))
        copies = information.get("cluster", {}).get("n", 1)
        return FeedState(identity, information["update_seq"], copies == 1)

    def present(self, state: FeedState) -> int | str:
        """Return the place in ``state`` as the rows of the feed write it.

        CouchDB's database information orders the shards otherwise, so the same place is another text there.
        """
        part = read_part(self._exchange, {"since": state.sequence, "limit": 1}, 1, with_documents=False)
        return part.sequence if part.is_last else state.sequence

    def read(self, sequence: int | str, *, limit: int, with_documents: bool) -> FeedPart:
        """Return up to ``limit`` rows after ``sequence``, each item once, in its latest revision.

        CouchDB starts an unknown sequence at 0 or ends silently, so check the state first.
        """
        params = {"since": sequence, "limit": limit}
        if with_documents:
            return read_part(self._exchange, params, limit, with_documents=True)
        # Only documents show their conflicts, so those with several leaves are read; the others may be tombstones.
        part = read_part(self._exchange, {**params, "style": "all_docs"}, limit, with_documents=False)
        branched = [row.item.doc_id for row in part.rows if row.item.conflicts]
        items = self._read_items(branched)
        rows = (FeedRow(items.get(row.item.doc_id, replace(row.item, conflicts=())), row.sequence) for row in part.rows)
        return replace(part, rows=tuple(rows))

    def _read_items(self, doc_ids: Sequence[str]) -> dict[str, StoredItem]:
        """Return existing items by `_id`, with their other live leaves and without their fields."""
        items: dict[str, StoredItem] = {}
        params = {"include_docs": True, "conflicts": True}
        for start in range(0, len(doc_ids), ITEMS_PER_READ):
            rows = self._exchange.rows("_all_docs", params=params, keys=doc_ids[start : start + ITEMS_PER_READ])
            items |= {row["id"]: replace(StoredItem.of(row["doc"]), fields={}) for row in rows if row.get("doc")}
        return items

    def read_leaves(self, sequence: int | str, *, limit: int) -> LeavesPart:
        """Return the leaves of up to ``limit`` items that changed after ``sequence``, as ``read`` does."""
        params = {"since": sequence, "limit": limit, "style": "all_docs"}
        changes = self._exchange.send("GET", "_changes", members=("results", "last_seq"), params=params)
        results = changes["results"]
        items = (
            ChangedLeaves(row["id"], tuple(change["rev"] for change in row["changes"]))
            for row in results
            if not row["id"].startswith("_design/")
        )
        return LeavesPart(tuple(items), changes["last_seq"], len(results) < limit)


def read_part(
    exchange: Exchange, params: Mapping[str, Any], limit: int, *, with_documents: bool, **options: Any
) -> FeedPart:
    """Return one response of a feed that was limited to ``limit`` rows; ``options`` are those of the exchange."""
    params = {**params, "include_docs": True, "conflicts": True} if with_documents else params
    changes = exchange.send("GET", "_changes", members=("results", "last_seq"), params=params, **options)
    results = changes["results"]
    rows = (FeedRow(_item(row), row["seq"]) for row in results if not row["id"].startswith("_design/"))
    return FeedPart(tuple(rows), changes["last_seq"], len(results) < limit)


def _item(row: dict[str, Any]) -> StoredItem:
    if document := row.get("doc"):
        return StoredItem.of(document)
    revision, *others = (change["rev"] for change in row["changes"])
    return StoredItem(row["id"], revision, {}, bool(row.get("deleted")), conflicts=tuple(others))


def number(sequence: object) -> int:
    """Return the number at the start of a sequence; it grows with each change of one copy of a database."""
    return int(str(sequence).partition("-")[0])

"""The feed of changes of one database: its identity, its places, and its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.errors import Unavailable
from app.store.exchange import Exchange
from app.store.items import StoredItem


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

    def read(self, sequence: int | str, *, limit: int, with_documents: bool) -> FeedPart:
        """Return up to ``limit`` rows after ``sequence``, each item once, in its latest revision.

        CouchDB starts an unknown sequence at 0 or ends silently, so check the state first.
        """
        params = {"since": sequence, "limit": limit}
        return read_part(self._exchange, params, limit, with_documents=with_documents)

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
    params = {**params, "include_docs": True} if with_documents else params
    changes = exchange.send("GET", "_changes", members=("results", "last_seq"), params=params, **options)
    results = changes["results"]
    rows = (FeedRow(_item(row), row["seq"]) for row in results if not row["id"].startswith("_design/"))
    return FeedPart(tuple(rows), changes["last_seq"], len(results) < limit)


def _item(row: dict[str, Any]) -> StoredItem:
    if document := row.get("doc"):
        return StoredItem.of(document)
    return StoredItem(row["id"], row["changes"][0]["rev"], {}, bool(row.get("deleted")))


def number(sequence: object) -> int:
    """Return the number at the start of a sequence; it grows with each change of one copy of a database."""
    return int(str(sequence).partition("-")[0])

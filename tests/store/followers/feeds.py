"""A feed that the test controls, a listener that records its calls, and a follower between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from queue import Queue
from typing import Any, cast

from app.metrics import Metrics
from app.store import Database, Follower
from app.store.database import MAX_CHANGES, MAX_DOCUMENTS
from app.store.feed import FeedPart, FeedRow
from app.store.items import StoredItem

PULSE_SECONDS, IDLE_SECONDS = 0.02, 0.3


class Recorder:
    """A listener that records its calls."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def caught_up(self) -> None:
        self.events.append("caught up")

    def changed(self, doc_ids: Iterable[str], /) -> None:
        self.events.append(list(doc_ids))

    def lost(self) -> None:
        self.events.append("lost")


def part(doc_ids: list[str], sequence: str, *, is_last: bool = True) -> FeedPart:
    """Return a response of the feed."""
    rows = (FeedRow(StoredItem(doc_id, "1-a", {}), sequence) for doc_id in doc_ids)
    return FeedPart(tuple(rows), sequence, is_last)


class Feed:
    """A database whose changes and failures the test controls."""

    name = "a feed"

    def __init__(self) -> None:
        self.pending: Queue[list[str] | Exception] = Queue()
        self.positions: list[object] = []
        self.starts = 0
        self.with_documents: list[bool] = []
        self.reads: list[object] = []

    def has_been_asked(self, times: int) -> bool:
        return len(self.positions) == times

    def present_place(self) -> object:
        self.starts += 1
        return f"{self.starts}-0"

    def await_changes(
        self, since: object, _: float, is_needed: Callable[[], bool], *, with_documents: bool = False
    ) -> FeedPart:
        self.with_documents.append(with_documents)
        self.positions.append(since)
        changes = self.pending.get()
        is_needed()
        if isinstance(changes, Exception):
            raise changes
        limit = MAX_DOCUMENTS if with_documents else MAX_CHANGES
        return part(changes, f"{since}+{len(changes)}", is_last=len(changes) < limit)

    def read_changes(self, since: object) -> FeedPart:
        self.reads.append(since)
        return part(["read"], f"{since}+read")


def follow(database: Any, recorder: Recorder, metrics: Metrics | None = None) -> Follower:
    follower = Follower(cast(Database, database), recorder, metrics or Metrics(), "items")
    follower.start()
    follower.start()
    return follower

"""Reading a feed: which rows are shown, where it ends, and that nothing is lost when the feed goes back."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.changes import reading
from app.domain.changes.reading import Budget, Capacity, Reader, Reading
from app.domain.changes.visibility import Shown
from app.domain.resources import DOCUMENT
from app.errors import Unavailable
from app.store.feed import FeedPart, FeedRow
from app.store.items import StoredItem

pytestmark = pytest.mark.nodatabase

Rows = list[tuple[int, int]]


class Feed:
    """Returns one part after the other; each row is the number of a document and its place."""

    def __init__(self, *parts: Rows | None) -> None:
        self._parts = list(parts)
        self.sinces: list[int | str] = []

    def read(self, sequence: int | str, **_: Any) -> FeedPart:
        self.sinces.append(sequence)
        part = self._parts.pop(0)
        if part is None:
            raise Unavailable
        rows = tuple(FeedRow(StoredItem(DOCUMENT.doc_id(number), "1-a", {}), place) for number, place in part)
        return FeedPart(rows, part[-1][1] if part else sequence, not self._parts)


def shows(item: StoredItem) -> Shown | None:
    """Show the documents with odd numbers."""
    public_id = DOCUMENT.public_id(item.doc_id)
    return Shown(DOCUMENT, public_id, item.revision) if public_id % 2 else None


def read(feed: Feed, limit: int = 10, budget: Budget | None = None) -> Reading:
    reader = Reader(feed, DOCUMENT, shows, with_documents=True)  # type: ignore[arg-type]
    return reader.read(0, limit, budget or Budget())


def ids(part: Reading) -> list[int]:
    return [change.public_id for change, _ in part.changes]


def test_all_parts_are_read_and_hidden_rows_are_passed() -> None:
    feed = Feed([(1, 1), (2, 2)], [(4, 3)], [(3, 4), (6, 5)])
    part = read(feed)
    assert (ids(part), part.sequence, part.is_last) == ([1, 3], 5, True)
    assert feed.sinces == [0, 2, 3]


def test_the_limit_counts_visible_rows() -> None:
    part = read(Feed([(2, 1), (1, 2), (4, 3), (3, 4), (5, 5)]), limit=2)
    assert (ids(part), part.sequence, part.is_last) == ([1, 3], 4, False)


def test_a_limit_that_is_met_by_the_last_row_is_the_end() -> None:
    assert read(Feed([(1, 1), (3, 2)]), limit=2).is_last


def test_a_cut_goes_back_to_the_last_change_that_is_kept() -> None:
    part = read(Feed([(1, 1), (3, 2), (5, 3), (2, 4)]))
    start = part.cut(Capacity(2))
    assert (start.sequence, ids(start), start.is_last) == (2, [1, 3], False)
    assert part.cut(Capacity(3)) is part


def test_a_cut_counts_the_bytes_of_values() -> None:
    changes = tuple((Shown(DOCUMENT, n, "1-a", value=b"x" * 10), n) for n in (1, 2, 3))
    capacity = Capacity(10)
    capacity.bytes = 15
    start = Reading(changes, 3, is_last=True).cut(capacity)
    assert (ids(start), start.sequence, start.is_last) == ([1, 2], 2, False)
    assert capacity.is_used_up


def test_a_cut_loses_nothing_when_the_feed_goes_back() -> None:
    part = read(Feed([(1, 7), (3, 8), (5, 9)], [(3, 8), (5, 9)]))
    start = part.cut(Capacity(2))
    assert (ids(start), start.sequence) == ([1, 3], 8)


def test_a_failure_after_the_first_part_ends_the_answer_early() -> None:
    part = read(Feed([(1, 1)], None))
    assert (ids(part), part.sequence, part.is_last) == ([1], 1, False)
    with pytest.raises(Unavailable):
        read(Feed(None))


def test_reading_ends_when_the_time_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "remaining", lambda: 4.0)
    budget = Budget()
    monkeypatch.setattr(reading, "remaining", lambda: 2.0)
    part = read(Feed([(1, 1)], [(3, 2)]), budget=budget)
    assert (ids(part), part.sequence, part.is_last) == ([1], 1, False)

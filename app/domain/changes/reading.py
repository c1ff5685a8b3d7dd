"""Reads the visible part of one feed, in requests of limited size and within the time of the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.changes.bare_tombstones import is_bare
from app.domain.changes.visibility import Shown
from app.domain.items import MAX_PAGE_BYTES
from app.domain.resources import ResourceType
from app.errors import Unavailable
from app.request_context import remaining
from app.store.feed import Feed, FeedRow
from app.store.items import StoredItem

# Rows in the first request with documents, and at most; the size of those read decides how many are read next.
FIRST_ROWS, MAX_ROWS = 100, 1000
# The text that one request should bring at most, in characters.
READ_CHARACTERS = 4 * 2**20
# The share of the request's time that reading may take.
TIME_SHARE = 0.5

Visible = Callable[[StoredItem], Shown | None]


class Budget:
    """The time that the reading of a poll may take. Outside of a request it is not limited."""

    def __init__(self) -> None:
        seconds = remaining()
        self._reserved = None if seconds is None else seconds * (1 - TIME_SHARE)

    @property
    def is_spent(self) -> bool:
        """Whether nothing more should be read."""
        seconds = remaining()
        return seconds is not None and self._reserved is not None and seconds <= self._reserved


class Capacity:
    """The number of changes that an answer still takes, and the bytes of their values; the last one may exceed them."""

    def __init__(self, changes: int) -> None:
        self.changes, self.bytes = changes, MAX_PAGE_BYTES

    @property
    def is_used_up(self) -> bool:
        """Whether the answer takes no further change."""
        return self.changes <= 0 or self.bytes <= 0

    def use(self, change: Shown) -> None:
        """Count a change."""
        self.changes -= 1
        self.bytes -= len(change.value or b"")


@dataclass(frozen=True)
class Reading:
    """The changes that a client sees in a part of a feed, each with its place, and the place after them all."""

    changes: tuple[tuple[Shown, int | str], ...]
    sequence: int | str
    is_last: bool

    def cut(self, capacity: Capacity) -> Reading:
        """Return the first changes, up to ``capacity``, and count them. If there are any, one of them must fit."""
        count = 0
        while count < len(self.changes) and not capacity.is_used_up:
            capacity.use(self.changes[count][0])
            count += 1
        if count == len(self.changes):
            return self
        return Reading(self.changes[:count], self.changes[count - 1][1], is_last=False)


class Reader:
    """Reads the feed of one resource type, as far as ``visible`` shows it."""

    def __init__(self, feed: Feed, resource_type: ResourceType, visible: Visible, *, with_documents: bool) -> None:
        self._feed, self._resource_type, self._visible = feed, resource_type, visible
        self._with_documents = with_documents
        self._changes: dict[int, tuple[Shown, int | str]] = {}
        self._bytes = 0

    def read(self, sequence: int | str, limit: int, budget: Budget) -> Reading:
        """Return up to ``limit`` changes after ``sequence``, in their order, each item in its latest state.

        Ends early at about MAX_PAGE_BYTES, or when the time is spent. Raises Unavailable if nothing could be read.
        """
        count, has_read = FIRST_ROWS if self._with_documents else MAX_ROWS, False
        while True:
            try:
                part = self._feed.read(sequence, limit=count, with_documents=self._with_documents)
            except Unavailable:
                if has_read:
                    return self._reading(sequence, is_last=False)
                raise
            has_read = True
            for place, row in enumerate(part.rows, 1):
                is_full = self._add(row) and (len(self._changes) >= limit or self._bytes >= MAX_PAGE_BYTES)
                # Judging a conflict takes time, and so does completing a tombstone.
                is_slow = (row.item.conflicts and self._changes) or (self._with_documents and is_bare(row.item))
                if is_full or (is_slow and budget.is_spent):
                    return self._reading(row.sequence, is_last=part.is_last and place == len(part.rows))
            sequence = part.sequence
            if part.is_last or budget.is_spent:
                return self._reading(sequence, is_last=part.is_last)
            characters = sum(row.item.characters for row in part.rows) or 1
            count = max(1, min(MAX_ROWS, READ_CHARACTERS * len(part.rows) // characters))

    def _add(self, row: FeedRow) -> bool:
        """Note the change in a row, in place of an earlier state; return whether the client sees one.

        The place stays the earlier one, so that ``cut`` loses nothing even if the feed was rewound meanwhile.
        """
        if not self._resource_type.first < row.item.doc_id <= self._resource_type.last:
            return False
        change = self._visible(row.item)
        if change is None:
            return False
        _, sequence = self._changes.get(change.public_id, (change, row.sequence))
        self._changes[change.public_id] = (change, sequence)
        self._bytes += len(change.value or b"")
        return True

    def _reading(self, sequence: int | str, *, is_last: bool) -> Reading:
        return Reading(tuple(self._changes.values()), sequence, is_last)

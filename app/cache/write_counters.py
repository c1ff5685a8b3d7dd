"""How often the processes of a host have written each document, in memory that they share.

What one of them has read is current while this says that none has written since (docs/decisions/reads.md).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from threading import Lock
from zlib import crc32

from app.errors import ServiceError, Unconfirmed
from app.shared_memory import SharedMemory

# Documents share slots, which makes a write to one look like a write to the other. The last is every write's.
SLOTS = 2**16
WHOLE = SLOTS
WORD = 8
# A write that nobody has seen the end of may be stored for so many seconds more; after them only the feed can tell.
GIVEN_UP = 60.0


class WriteCounters:
    """Counters of one database for up to ``processes`` processes, made before these are forked.

    Each process counts in a column of its own, so that it needs no lock: how many writes it has begun or ended, and
    how many are under way. ``clock`` counts seconds.
    """

    def __init__(self, processes: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        # While old processes end, those that follow them are there already; the last column is for who comes too many.
        self._columns, self._clock = 2 * processes + 1, clock
        self._row = 2 * self._columns
        self._shared = SharedMemory(WORD * self._row * (SLOTS + 1))
        self._words = memoryview(self._shared.bytes).cast("Q")
        self._quiet = bytes(WORD * self._columns)
        self._lock = Lock()
        self._pid, self._column = 0, 0
        # What is under way without an owner that could end it: until when, in which column, and how often in each slot.
        self._orphans: list[tuple[float, int, dict[int, int]]] = []

    @staticmethod
    def slot(doc_id: str) -> int:
        """Return where a document's writes are counted."""
        return crc32(doc_id.encode()) % SLOTS

    def version(self, slot: int) -> int:
        """Return a number that grows with each write, when it begins and when it ends."""
        start = slot * self._row
        return sum(self._words[start : start + self._columns])

    def is_quiet(self, slot: int) -> bool:
        """Tell whether no write is under way. A version is only good to be kept if this is so after it was read."""
        start = (slot * self._row + self._columns) * WORD
        if self._shared.bytes[start : start + len(self._quiet)] == self._quiet:
            return True
        self._end_orphans()
        return False

    @contextmanager
    def writing(self, doc_ids: Collection[str]) -> Iterator[set[str]]:
        """Count a write. One of unknown outcome stays under way until it can be given up.

        Where some of its documents have one, they are to be put into the set that is given, and only they stay so.
        """
        slots = self._slots(doc_ids)
        with self._lock:
            column = self._own_column()
            self._begin(column, slots)
        unknown: set[str] = set()
        known = False
        try:
            yield unknown
            known = True
        except ServiceError as error:
            known = not isinstance(error, Unconfirmed)
            raise
        finally:
            left = self._slots(unknown) if unknown else {}
            if not known:
                left = slots
            with self._lock:
                self._end(column, {slot: times for slot, times in slots.items() if slot not in left})
                if left:
                    self._orphans.append((self._clock() + GIVEN_UP, column, left))

    def _slots(self, doc_ids: Collection[str]) -> dict[int, int]:
        """Return how often a write of these documents counts in each slot."""
        return dict.fromkeys({*map(self.slot, doc_ids), WHOLE}, 1)

    def _begin(self, column: int, slots: dict[int, int]) -> None:
        """Count up; who sees the new version must not find it quiet."""
        for slot, times in slots.items():
            at = slot * self._row + column
            self._words[at + self._columns] += times
            self._words[at] += 1

    def _end(self, column: int, slots: dict[int, int]) -> None:
        """Count down; who finds it quiet must see the new version. What shares the last column is never quiet again."""
        if column == self._columns - 1:
            return
        for slot, times in slots.items():
            at = slot * self._row + column
            self._words[at] += 1
            self._words[at + self._columns] -= times

    def _own_column(self) -> int:
        """Return this process's column; a child of a fork takes one of its own."""
        if self._pid != os.getpid():
            last = self._columns - 1
            self._pid, self._orphans = os.getpid(), []
            self._column = next((column for column in range(last) if self._take(column)), last)
        return self._column

    def _take(self, column: int) -> bool:
        """Claim a column that nobody has, with what its last owner left under way."""
        if not self._shared.claim(column):
            return False
        left = self._words[column + self._columns :: self._row].tolist()
        if any(left):
            slots = {slot: times for slot, times in enumerate(left) if times}
            self._orphans.append((self._clock() + GIVEN_UP, column, slots))
        return True

    def _end_orphans(self) -> None:
        """End what was under way for too long, and look after what dead processes have left."""
        with self._lock:
            own, now = self._own_column(), self._clock()
            for orphan in [orphan for orphan in self._orphans if orphan[0] <= now]:
                self._orphans.remove(orphan)
                self._end(*orphan[1:])
                if orphan[1] not in {own, *(other[1] for other in self._orphans)}:
                    self._shared.release(orphan[1])
            looked_after = {own, self._columns - 1, *(orphan[1] for orphan in self._orphans)}
            for column in set(range(self._columns)) - looked_after:
                if self._words[WHOLE * self._row + self._columns + column]:
                    self._take(column)

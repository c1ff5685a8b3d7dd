"""Decides whether something read from a database is still current, without asking the database again.

It is, as long as no process of this host has written the document since, and the change feed, which reports the other
hosts' writes, is alive and has not named it (docs/decisions/reads.md).
"""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from zlib import crc32

from app.errors import ServiceError, Unconfirmed
from app.shared_memory import SharedMemory

# Documents share slots, so that a write to one also looks like a write to the other. The last slot counts every write.
SLOTS = 2**16
WHOLE = SLOTS
WORD_BYTES = 8
# A write of unknown outcome may still be stored during this time; a later one is reported by the feed alone.
UNKNOWN_SECONDS = 60.0


class WriteCounters:
    """Count how often the processes of a host have written each document, in memory that they share.

    These are counters of one database for ``processes`` processes, made before these are forked.

    Each process has two columns of its own, so that it needs no lock: the number of starts and ends of writes, and
    the number of writes in flight. ``clock`` counts seconds.
    """

    def __init__(self, processes: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        # Twice as many, since new processes start before the old ones end; the last one is shared by any further ones.
        self._columns, self._clock = 2 * processes + 1, clock
        self._row = 2 * self._columns
        self._shared = SharedMemory(WORD_BYTES * self._row * (SLOTS + 1))
        self._words = memoryview(self._shared.bytes).cast("Q")
        self._quiet = bytes(WORD_BYTES * self._columns)
        self._lock = Lock()
        self._pid, self._column = 0, 0
        # Writes in flight without an owner that will end them: (time to end them, column, number by slot).
        self._orphans: list[tuple[float, int, dict[int, int]]] = []

    @staticmethod
    def slot(doc_id: str) -> int:
        """Return the slot that counts a document's writes."""
        return crc32(doc_id.encode()) % SLOTS

    def version(self, slot: int) -> int:
        """Return a number that grows at the start and at the end of each write."""
        start = slot * self._row
        return sum(self._words[start : start + self._columns])

    def is_quiet(self, slot: int) -> bool:
        """Return whether no write is in flight. A version may only be kept if this is true after it was read."""
        start = (slot * self._row + self._columns) * WORD_BYTES
        if self._shared.bytes[start : start + len(self._quiet)] == self._quiet:
            return True
        self._end_orphans()
        return False

    @contextmanager
    def writing(self, doc_ids: Collection[str]) -> Iterator[set[str]]:
        """Count a write. If its outcome is unknown, it stays in flight for UNKNOWN_SECONDS.

        If only some of the documents have an unknown outcome, put their `_id`s into the yielded set.
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
            pending = self._slots(unknown) if unknown else {}
            if not known:
                pending = slots
            with self._lock:
                self._end(column, {slot: times for slot, times in slots.items() if slot not in pending})
                if pending:
                    self._orphans.append((self._clock() + UNKNOWN_SECONDS, column, pending))

    def _slots(self, doc_ids: Collection[str]) -> dict[int, int]:
        """Return by slot how often a write of these documents counts."""
        return dict.fromkeys({*map(self.slot, doc_ids), WHOLE}, 1)

    def _begin(self, column: int, slots: dict[int, int]) -> None:
        """Count up, the writes in flight first: a reader of the new version must not find it quiet."""
        for slot, times in slots.items():
            at = slot * self._row + column
            self._words[at + self._columns] += times
            self._words[at] += 1

    def _end(self, column: int, slots: dict[int, int]) -> None:
        """Count down, the version first: a reader that finds it quiet must see the new version.

        The shared column is never counted down, so its slots are never quiet again.
        """
        if column == self._columns - 1:
            return
        for slot, times in slots.items():
            at = slot * self._row + column
            self._words[at] += 1
            self._words[at + self._columns] -= times

    def _own_column(self) -> int:
        """Return this process's column; a forked child claims one of its own."""
        if self._pid != os.getpid():
            last = self._columns - 1
            self._pid, self._orphans = os.getpid(), []
            self._column = next((column for column in range(last) if self._take(column)), last)
        return self._column

    def _take(self, column: int) -> bool:
        """Claim a free column, and with it the writes that its last owner left in flight."""
        if not self._shared.claim(column):
            return False
        pending = self._words[column + self._columns :: self._row].tolist()
        if any(pending):
            slots = {slot: times for slot, times in enumerate(pending) if times}
            self._orphans.append((self._clock() + UNKNOWN_SECONDS, column, slots))
        return True

    def _end_orphans(self) -> None:
        """End writes that have been in flight for too long, and adopt those of dead processes."""
        with self._lock:
            own, now = self._own_column(), self._clock()
            for orphan in [orphan for orphan in self._orphans if orphan[0] <= now]:
                self._orphans.remove(orphan)
                self._end(*orphan[1:])
                if orphan[1] not in {own, *(other[1] for other in self._orphans)}:
                    self._shared.release(orphan[1])
            owned = {own, self._columns - 1, *(orphan[1] for orphan in self._orphans)}
            for column in set(range(self._columns)) - owned:
                if self._words[WHOLE * self._row + self._columns + column]:
                    self._take(column)


class CacheValidator:
    """Join the writes of this host's processes with the changes that a follower of the database reports.

    While the follower is lost, nothing is valid. Take a token before a read and keep it beside the result: while the
    token is valid, its documents are unchanged, and no write to it is in flight. Every part of a token only ever
    grows, so that their sum stands for all of them.
    """

    def __init__(self, counters: WriteCounters) -> None:
        self._counters = counters
        self._changes = array("Q", bytes(WORD_BYTES * (SLOTS + 1)))
        self._losses = 0
        self.is_live = False

    def token(self, doc_id: str | None = None) -> int | None:
        """Return a token for a document, or for the whole database; None while no result may be kept."""
        slot = _slot(doc_id)
        token = self._sum(slot)
        return token if self._counters.is_quiet(slot) and self.is_live else None

    def is_valid(self, token: int | None, doc_id: str | None = None) -> bool:
        """Return whether nothing has changed since ``token`` was taken."""
        return token is not None and self.is_live and token == self._sum(_slot(doc_id))

    def _sum(self, slot: int) -> int:
        return self._counters.version(slot) + self._changes[slot] + self._losses

    def caught_up(self) -> None:
        """Note that every change from now on is reported."""
        self.is_live = True

    def changed(self, doc_ids: Iterable[str]) -> None:
        """Note changes, by any writer."""
        for doc_id in doc_ids:
            self._changes[WriteCounters.slot(doc_id)] += 1
            self._changes[WHOLE] += 1

    def lost(self) -> None:
        """Note that changes may have been missed: no token is valid any more."""
        if self.is_live:
            self.is_live = False
            self._losses += 1


def _slot(doc_id: str | None) -> int:
    return WHOLE if doc_id is None else WriteCounters.slot(doc_id)

"""Numbers by key in memory that forked processes share: each process adds in a column of its own, any can read all."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from threading import Lock
from typing import NamedTuple

from app.shared_memory import SharedMemory

log = logging.getLogger("dreamscript.metrics")

# Numbers in a column, and bytes of all keys as JSON; pages that are never written cost no memory.
COLUMN_WORDS = 2**15
DIRECTORY_BYTES = 2**22
WORD_BYTES = 8
LENGTH_BYTES = 8
# Places in a column: the number of processes that have used it, the time when the last of them was seen, the surplus,
# which receives the additions of all keys that do not fit, and the first place of a key.
OWNERS, SEEN_AT, SURPLUS, FIRST = 0, 1, 2, 32

Key = tuple[str, ...]


class Series(NamedTuple):
    """A key, and the place of its first number in each column."""

    key: Key
    place: int


class SharedSeries:
    """The numbers of up to ``processes`` processes, made before these are forked. Thread-safe.

    A column outlives its process, and the next process goes on with its numbers: so sums over all columns never fall.
    The directory of keys is shared too, and every process reads the same place for a key from it.
    """

    def __init__(self, processes: int = 1) -> None:
        # The last column is for any further processes, which may lose additions to each other.
        self._columns = processes + 1
        self._shared = SharedMemory(DIRECTORY_BYTES + self._columns * COLUMN_WORDS * WORD_BYTES)
        self._words = memoryview(self._shared.bytes)[DIRECTORY_BYTES:].cast("d")
        self._own = self._words[:COLUMN_WORDS]
        self._lock = Lock()
        self._pid, self.column = 0, 0
        self._places: dict[Key, int] = {}
        self._read_bytes, self._next_place = LENGTH_BYTES, FIRST

    def place(self, key: Key, words: int) -> int:
        """Return the place of ``words`` numbers under ``key``, which is assigned if it is new."""
        place = self._places.get(key)
        return self._assign(key, words) if place is None else place

    def add(self, additions: Iterable[tuple[int, float]]) -> None:
        """Add to the numbers at these places, in this process's column."""
        with self._lock:
            if self._pid != os.getpid():
                self._claim()
            for place, amount in additions:
                self._own[place] += amount

    def add_timed(self, counter: int, other_counter: int, bucket: int, total: int, seconds: float) -> None:
        """Add 1 at three places and ``seconds`` at the last, without a loop, since each answer does so."""
        with self._lock:
            if self._pid != os.getpid():
                self._claim()
            own = self._own
            own[counter] += 1
            own[other_counter] += 1
            own[bucket] += 1
            own[total] += seconds

    def set(self, place: int, value: float) -> None:
        """Replace a number in this process's column."""
        with self._lock:
            if self._pid != os.getpid():
                self._claim()
            self._own[place] = value

    def series(self) -> list[Series]:
        """Return the keys of all processes, in the order of their places."""
        with self._lock, self._shared.locked(self._columns):
            self._read_directory()
            return [Series(key, place) for key, place in self._places.items() if place != SURPLUS]

    def total(self, place: int) -> float:
        """Return the sum of a number over all columns."""
        return sum(self._words[place::COLUMN_WORDS])

    def values(self, place: int) -> list[float]:
        """Return a number in each column."""
        return list(self._words[place::COLUMN_WORDS])

    def _claim(self) -> None:
        """Take the first column that no living process has."""
        last = self._columns - 1
        self.column = next((column for column in range(last) if self._shared.claim(column)), last)
        self._own = self._words[self.column * COLUMN_WORDS :][:COLUMN_WORDS]
        self._own[OWNERS] += 1
        self._pid = os.getpid()

    def _assign(self, key: Key, words: int) -> int:
        with self._lock, self._shared.locked(self._columns):
            self._read_directory()
            if key not in self._places:
                self._append(key, words)
            return self._places[key]

    def _append(self, key: Key, words: int) -> None:
        """Enter a key into the directory, or add its numbers to the surplus if it does not fit."""
        entry = json.dumps([words, *key]).encode() + b"\n"
        end = self._read_bytes + len(entry)
        if end > DIRECTORY_BYTES or self._next_place + words > COLUMN_WORDS:
            log.error("there is no room for another series of metrics", extra={"series": key})
            self._places[key] = SURPLUS
            return
        self._shared.bytes[self._read_bytes : end] = entry
        # The length comes last: a process that dies before leaves no half entry.
        self._shared.bytes[:LENGTH_BYTES] = end.to_bytes(LENGTH_BYTES, "little")
        self._read_directory()

    def _read_directory(self) -> None:
        """Read the keys that this or other processes have entered."""
        end = int.from_bytes(self._shared.bytes[:LENGTH_BYTES], "little")
        for line in self._shared.bytes[self._read_bytes : end].splitlines():
            words, *key = json.loads(line)
            self._places[tuple(key)] = self._next_place
            self._next_place += words
        self._read_bytes = max(end, self._read_bytes)

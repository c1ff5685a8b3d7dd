"""Moving windows in memory that forked processes share."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b

from app.shared_memory import SharedMemory

# The slots are a set-associative cache: a key's hash selects one set, in which it replaces the least recently used key.
SETS, WAYS = 1024, 8
# A slot's head has five words of 8 bytes: two of digest, the number of entries ever made, the time of the last use, and
# the number of an entry before which all have expired.
WORD_BYTES, HEAD_WORDS = 8, 5
ENTRIES, USED, FIRST = 2, 3, 4
DIGEST_BYTES = 2 * WORD_BYTES
MAX_DIGESTS = 4096


class SharedWindows:
    """A ring of the times of each key's last ``limit`` entries.

    The heads of all slots come first, then their rings. A ring has one place more than the limit, which no window
    contains: an entry is written there, and joins the window when it is counted. So a process that is killed at any
    instruction has made its entry or has not. Unused slots cost no memory. ``clock`` gives seconds and must be the same
    for all processes.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._places, self._clock = limit + 1, clock
        self._shared = SharedMemory(WORD_BYTES * SETS * WAYS * (HEAD_WORDS + self._places))
        self._memory = self._shared.bytes
        self._words = memoryview(self._memory).cast("Q")
        self._moments = memoryview(self._memory).cast("d")

    def enter(self, key: str, limit: int, expiry: int) -> tuple[bool, float, int]:
        """Add an entry, unless there are ``limit`` entries younger than ``expiry`` seconds.

        Returns whether it was added, and the result of ``get_moving_window``. Raises OSError.
        """
        digest, set_number = locate(key)
        with self._shared.locked(set_number):
            now = self._clock()
            slot = self._find(digest, set_number)
            if slot is None:
                slot = self._claim(digest, set_number)
            head = slot * HEAD_WORDS
            self._moments[head + USED] = now
            entries = self._words[head + ENTRIES]
            # The entry ``limit`` places before the new one must have expired.
            before = entries - limit
            if before >= 0 and self._moments[self._place(slot, before)] >= now - expiry:
                return False, *self._window(slot, limit, expiry, now)
            self._moments[self._place(slot, entries)] = now
            self._words[head + ENTRIES] = entries + 1
            self._words[head + FIRST] = first = self._first(slot, limit, now - expiry)
            return True, self._moments[self._place(slot, first)], entries + 1 - first

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the time of the oldest entry younger than ``expiry`` seconds (now, if none is), and their number.

        Takes no lock: entries inside the window are never written to, except when the slot is given to another key.
        """
        now = self._clock()
        slot = self._find(*locate(key))
        return (now, 0) if slot is None else self._window(slot, limit, expiry, now)

    def _window(self, slot: int, limit: int, expiry: int, now: float) -> tuple[float, int]:
        first, entries = self._first(slot, limit, now - expiry), self._words[slot * HEAD_WORDS + ENTRIES]
        return (self._moments[self._place(slot, first)], entries - first) if first < entries else (now, 0)

    def _first(self, slot: int, limit: int, horizon: float) -> int:
        """Return the number of the first entry that is not before ``horizon``.

        Step sizes double from the end of the last search, so that the cost is the logarithm of the number of entries
        that have expired since.
        """
        entries = self._words[slot * HEAD_WORDS + ENTRIES]
        low = max(self._words[slot * HEAD_WORDS + FIRST], entries - limit)
        if low >= entries or self._moments[self._place(slot, low)] >= horizon:
            return low
        start = SETS * WAYS * HEAD_WORDS + slot * self._places
        ring, places = self._moments[start : start + self._places], self._places

        def is_young(number: int) -> bool:
            return ring[number % places] >= horizon

        step = 1
        while low + step <= entries and not is_young(low + step - 1):
            low, step = low + step, 2 * step
        return low + bisect_left(range(low, min(low + step - 1, entries)), True, key=is_young)

    def _find(self, digest: bytes, set_number: int) -> int | None:
        start, size = set_number * WAYS * HEAD_WORDS * WORD_BYTES, HEAD_WORDS * WORD_BYTES
        at = self._memory.find(digest, start, start + WAYS * size)
        return None if at < 0 else at // size

    def _claim(self, digest: bytes, set_number: int) -> int:
        """Give the least recently used slot to a new key; remove its entries first."""
        slots = range(set_number * WAYS, set_number * WAYS + WAYS)
        slot = min(slots, key=lambda slot: self._moments[slot * HEAD_WORDS + USED])
        self._empty(slot)
        self._memory[slot * HEAD_WORDS * WORD_BYTES : slot * HEAD_WORDS * WORD_BYTES + DIGEST_BYTES] = digest
        return slot

    def _empty(self, slot: int) -> None:
        self._words[slot * HEAD_WORDS + FIRST] = 0
        self._words[slot * HEAD_WORDS + ENTRIES] = 0

    def _place(self, slot: int, number: int) -> int:
        """Return the place of an entry in memory, in words."""
        return SETS * WAYS * HEAD_WORDS + slot * self._places + number % self._places


@lru_cache(MAX_DIGESTS)
def locate(key: str) -> tuple[bytes, int]:
    """Return the digest of ``key``, and the set of slots that it belongs to."""
    digest = blake2b(key.encode(), digest_size=DIGEST_BYTES).digest()
    return digest, int.from_bytes(digest[:4]) % SETS

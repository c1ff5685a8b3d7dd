"""Moving windows in memory that is shared by the processes which were forked after it was made."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b

from limits.storage import MovingWindowSupport, Storage

from app.shared_memory import SharedMemory

# A key can be in one set of slots only, chosen by its hash, and takes there the place of the one longest unused.
SETS, WAYS = 1024, 8
# A slot's head has five words of 8 bytes: two of digest, how many entries were ever made, when the last was asked for,
# and the number of an entry before which all are too old.
WORD, HEAD = 8, 5
ENTRIES, USED, FIRST = 2, 3, 4
DIGEST = 2 * WORD
# So many keys' digests are remembered.
MOST_DIGESTS = 4096


class SharedWindows(Storage, MovingWindowSupport):
    """A storage for MovingWindowRateLimiter: for each key the moments of its last ``limit`` entries, in a ring.

    The heads of all slots come first, then their rings. An entry is written to the one place of the ring that is in
    nobody's window, and belongs to the window once it is counted; so wherever a process is killed, either all or
    nothing has happened. Unused slots cost no memory. ``clock`` gives seconds that all the processes share.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(wrap_exceptions=True)
        self._places, self._clock = limit + 1, clock
        self._shared = SharedMemory(WORD * SETS * WAYS * (HEAD + self._places))
        self._memory = self._shared.bytes
        self._words = memoryview(self._memory).cast("Q")
        self._moments = memoryview(self._memory).cast("d")

    @property
    def base_exceptions(self) -> type[Exception]:
        """What the system raises when it has no lock to give."""
        return OSError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Make ``amount`` entries now, unless more than ``limit`` would be younger than ``expiry`` seconds."""
        return self.enter(key, limit, expiry, amount)[0]

    def enter(self, key: str, limit: int, expiry: int, amount: int = 1) -> tuple[bool, float, int]:
        """Do that, and return whether it was done and what ``get_moving_window`` returns then."""
        digest, chosen = locate(key)
        with self._shared.locked(chosen):
            now = self._clock()
            slot = self._find(digest, chosen)
            if slot is None:
                slot = self._claim(digest, chosen)
            head = slot * HEAD
            self._moments[head + USED] = now
            entries = self._words[head + ENTRIES]
            # As many entries before this one are the first that would have to go.
            before = entries + amount - limit - 1
            if amount > limit or (before >= 0 and self._moments[self._place(slot, before)] >= now - expiry):
                return False, *self._window(slot, limit, expiry, now)
            for number in range(entries, entries + amount):
                self._moments[self._place(slot, number)] = now
                self._words[head + ENTRIES] = number + 1
            self._words[head + FIRST] = self._first(slot, limit, now - expiry)
            return True, *self._window(slot, limit, expiry, now)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the moment of the oldest entry that is younger than ``expiry`` seconds, else now, and their number.

        Takes no lock: entries that count are not written to, unless the slot changes hands, and then they are void.
        """
        now = self._clock()
        slot = self._find(*locate(key))
        return (now, 0) if slot is None else self._window(slot, limit, expiry, now)

    def _window(self, slot: int, limit: int, expiry: int, now: float) -> tuple[float, int]:
        first, entries = self._first(slot, limit, now - expiry), self._words[slot * HEAD + ENTRIES]
        return (self._moments[self._place(slot, first)], entries - first) if first < entries else (now, 0)

    def _first(self, slot: int, limit: int, horizon: float) -> int:
        """Return the number of the first entry that is not before ``horizon``; it is looked for near the last one."""
        entries = self._words[slot * HEAD + ENTRIES]
        low = high = max(self._words[slot * HEAD + FIRST], entries - limit)

        def is_young(number: int) -> bool:
            return self._moments[self._place(slot, number)] >= horizon

        while high < entries and not is_young(high):
            low, high = high + 1, 2 * high - low + 2
        return low + bisect_left(range(low, min(high, entries)), True, key=is_young)

    def clear(self, key: str) -> None:
        """Forget the entries of ``key``."""
        digest, chosen = locate(key)
        with self._shared.locked(chosen):
            slot = self._find(digest, chosen)
            if slot is not None:
                self._empty(slot)

    def reset(self) -> int | None:
        """Forget all entries; how many keys had some is not counted."""
        for chosen in range(SETS):
            with self._shared.locked(chosen):
                for slot in range(chosen * WAYS, chosen * WAYS + WAYS):
                    self._empty(slot)
        return None

    def check(self) -> bool:
        """Tell that the storage is there, as memory always is."""
        return True

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Refuse: fixed windows are not kept here."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Refuse: fixed windows are not kept here."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Refuse: fixed windows are not kept here."""
        raise NotImplementedError

    def _find(self, digest: bytes, chosen: int) -> int | None:
        start, size = chosen * WAYS * HEAD * WORD, HEAD * WORD
        at = self._memory.find(digest, start, start + WAYS * size)
        return None if at < 0 else at // size

    def _claim(self, digest: bytes, chosen: int) -> int:
        """Give the slot that was not asked for longest to a new key; its entries go first."""
        slots = range(chosen * WAYS, chosen * WAYS + WAYS)
        slot = min(slots, key=lambda slot: self._moments[slot * HEAD + USED])
        self._empty(slot)
        self._memory[slot * HEAD * WORD : slot * HEAD * WORD + DIGEST] = digest
        return slot

    def _empty(self, slot: int) -> None:
        self._words[slot * HEAD + FIRST] = 0
        self._words[slot * HEAD + ENTRIES] = 0

    def _place(self, slot: int, number: int) -> int:
        """Return where in memory the entry of this number is, in words."""
        return SETS * WAYS * HEAD + slot * self._places + number % self._places


@lru_cache(MOST_DIGESTS)
def locate(key: str) -> tuple[bytes, int]:
    """Return the digest that stands for ``key``, and the set of slots that it may be in."""
    digest = blake2b(key.encode(), digest_size=DIGEST).digest()
    return digest, int.from_bytes(digest[:4]) % SETS

"""Moving windows in memory that is shared by the processes which were forked after it was made."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from hashlib import blake2b

from limits.storage import MovingWindowSupport, Storage

from app.shared_memory import SharedMemory

# A key can be in one set of slots only, chosen by its hash, and takes there the place of the one longest unused.
SETS, WAYS = 1024, 8
# A slot's head has four words of 8 bytes: two of digest, how many entries were ever made, when the last was asked for.
WORD, HEAD = 8, 4
ENTRIES, USED = 2, 3


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
        digest, chosen = locate(key)
        with self._shared.locked(chosen):
            now = self._clock()
            slot = self._find(digest, chosen)
            if slot is None:
                slot = self._claim(digest, chosen)
            self._moments[slot * HEAD + USED] = now
            entries = self._words[slot * HEAD + ENTRIES]
            # As many entries before this one are the first that would have to go.
            before = entries + amount - limit - 1
            if amount > limit or (before >= 0 and self._moments[self._place(slot, before)] >= now - expiry):
                return False
            for number in range(entries, entries + amount):
                self._moments[self._place(slot, number)] = now
                self._words[slot * HEAD + ENTRIES] = number + 1
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the moment of the oldest entry that is younger than ``expiry`` seconds, else now, and their number.

        Takes no lock: entries that count are not written to, unless the slot changes hands, and then they are void.
        """
        now = self._clock()
        slot = self._find(*locate(key))
        entries = 0 if slot is None else self._words[slot * HEAD + ENTRIES]
        if slot is None or entries == 0:
            return now, 0

        def moment(age: int) -> float:
            return self._moments[self._place(slot, entries - 1 - age)]

        count = bisect_left(range(min(entries, limit)), True, key=lambda age: moment(age) < now - expiry)
        return (moment(count - 1) if count else now), count

    def clear(self, key: str) -> None:
        """Forget the entries of ``key``."""
        digest, chosen = locate(key)
        with self._shared.locked(chosen):
            slot = self._find(digest, chosen)
            if slot is not None:
                self._words[slot * HEAD + ENTRIES] = 0

    def reset(self) -> int | None:
        """Forget all entries; how many keys had some is not counted."""
        for chosen in range(SETS):
            with self._shared.locked(chosen):
                for slot in range(chosen * WAYS, chosen * WAYS + WAYS):
                    self._words[slot * HEAD + ENTRIES] = 0
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
        self._words[slot * HEAD + ENTRIES] = 0
        self._memory[slot * HEAD * WORD : (slot * HEAD + ENTRIES) * WORD] = digest
        return slot

    def _place(self, slot: int, number: int) -> int:
        """Return where in memory the entry of this number is, in words."""
        return SETS * WAYS * HEAD + slot * self._places + number % self._places


def locate(key: str) -> tuple[bytes, int]:
    """Return the digest that stands for ``key``, and the set of slots that it may be in."""
    digest = blake2b(key.encode(), digest_size=ENTRIES * WORD).digest()
    return digest, int.from_bytes(digest[:4]) % SETS

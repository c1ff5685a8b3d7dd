"""Remembers since when revisions are missing, in memory that the workers of a host share."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from struct import Struct

from app.shared_memory import SharedMemory

# A revision that is not known here may arrive by replication during this time.
ARRIVAL_SECONDS = 60.0
# An entry: the digest of the item and the revision, and the time since when the revision is missing.
DIGEST_BYTES = 8
ENTRY = Struct(f"={DIGEST_BYTES}sd")
# The last bits of a digest choose one of SETS sets of WAYS entries each. A new entry replaces the oldest of its set.
SETS, WAYS = 4096, 4
SET_BYTES = WAYS * ENTRY.size


class Arrivals:
    """The missing revisions. Each is expected for ``seconds``; ``clock`` counts seconds, alike in all processes.

    The memory is shared, since all workers have to judge an item alike. After a restart, every time begins again.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, seconds: float = ARRIVAL_SECONDS) -> None:
        self._clock, self._seconds = clock, seconds
        self._shared = SharedMemory(SETS * SET_BYTES)

    def is_expected(self, doc_id: str, revision: str) -> bool:
        """Return whether a missing revision may still arrive. The first call for a revision starts its time."""
        digest = sha256(f"{doc_id} {revision}".encode()).digest()[:DIGEST_BYTES]
        start, now = int.from_bytes(digest) % SETS * SET_BYTES, self._clock()
        with self._shared.locked(start):
            entries = list(ENTRY.iter_unpack(self._shared.bytes[start : start + SET_BYTES]))
            missing_since = dict(entries).get(digest)
            if missing_since is None:
                way = min(range(WAYS), key=lambda number: entries[number][1])
                ENTRY.pack_into(self._shared.bytes, start + way * ENTRY.size, digest, now)
                missing_since = now
        return bool(now - missing_since < self._seconds)

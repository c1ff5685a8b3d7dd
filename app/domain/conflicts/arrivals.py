"""Remembers since when revisions are missing, in memory that the workers of a host share."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from struct import Struct

from app.shared_memory import SharedMemory

# A revision that is not known here may arrive by replication during this time.
ARRIVAL_SECONDS = 60.0
# A digest of the item and the revision, and the time since when it is missing.
DIGEST_BYTES = 8
ENTRY = Struct(f"={DIGEST_BYTES}sd")
# Revisions that are remembered: WAYS of those whose digests begin alike. A new one replaces the oldest.
SETS, WAYS = 4096, 4
SET_BYTES = WAYS * ENTRY.size


class Arrivals:
    """Missing revisions may arrive for ``seconds``. ``clock`` counts seconds, alike in all processes.

    All workers have to judge an item alike. The memory ends with the service; everything is then expected again.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, seconds: float = ARRIVAL_SECONDS) -> None:
        self._clock, self._seconds = clock, seconds
        self._shared = SharedMemory(SETS * SET_BYTES)

    def is_expected(self, doc_id: str, revision: str) -> bool:
        """Return whether a missing revision may still arrive. The first call for it starts the time."""
        digest = sha256(f"{doc_id} {revision}".encode()).digest()[:DIGEST_BYTES]
        start, now = int.from_bytes(digest) % SETS * SET_BYTES, self._clock()
        with self._shared.locked(start):
            entries = list(ENTRY.iter_unpack(self._shared.bytes[start : start + SET_BYTES]))
            missing_since = dict(entries).get(digest)
            if missing_since is None:
                way = min(range(WAYS), key=lambda way: entries[way][1])
                ENTRY.pack_into(self._shared.bytes, start + way * ENTRY.size, digest, now)
                missing_since = now
        return bool(now - missing_since < self._seconds)

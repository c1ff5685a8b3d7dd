"""Authenticate keys, and remember each for 3 seconds so that a key in use is rarely read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from threading import Lock

from app.domain.access import Access
from app.domain.keys.key import Key
from app.domain.keys.keys import Keys
from app.errors import Unauthorized

# A revocation takes effect within 5 s; the rest is the time of the read.
SECONDS = 3.0
ENTRIES = 10_000


class Authenticator:
    """Remember each key for SECONDS, unknown and ended ones too.

    Unknown and ended keys are remembered alike, so that the time of a refusal does not reveal its reason, and apart
    from the valid ones, so that many wrong keys evict none of those. A new key is stored before its text is shown.

    ``note`` is called for each use with the key's id and the moment; it must be quick and raise nothing. ``now`` is the
    time of day, for expiry; ``clock`` counts seconds and never goes back. ``out_of_scope`` is the default for keys.
    """

    def __init__(
        self,
        keys: Keys,
        note: Callable[[int, datetime], None],
        out_of_scope: str,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._keys, self._note, self._out_of_scope, self._now, self._clock = keys, note, out_of_scope, now, clock
        self._lock = Lock()
        self._good: OrderedDict[bytes, tuple[float, Key | None]] = OrderedDict()
        self._bad: OrderedDict[bytes, tuple[float, Key | None]] = OrderedDict()

    def authenticate(self, text: str | None) -> Access:
        """Return the rights of the key ``text``.

        Raises Unauthorized, the same for a missing, malformed, unknown, expired and revoked key, and Unavailable if
        the database does not answer.
        """
        key = self._key(text) if text else None
        now = self._now()
        if key is None or not key.is_alive(now):
            raise Unauthorized
        self._note(key.id, now)
        return key.access(self._out_of_scope)

    def recall(self, text: str | None) -> Access | None:
        """Return the rights of a remembered valid key, None for any other; reads nothing from the database."""
        if not text:
            return None
        now = self._now()
        with self._lock:
            read_at, key = self._good.get(_mark(text), (0.0, None))
        if key is None or self._clock() - read_at >= SECONDS or not key.is_alive(now):
            return None
        self._note(key.id, now)
        return _access(key, self._out_of_scope)

    def _key(self, text: str) -> Key | None:
        mark, started = _mark(text), self._clock()
        with self._lock:
            read_at, key = self._good.get(mark) or self._bad.get(mark) or (started - SECONDS, None)
        if started - read_at >= SECONDS:
            key = self._keys.recognise(text)
            self._remember(mark, started, key)
        return key

    def _remember(self, mark: bytes, read_at: float, key: Key | None) -> None:
        memory = self._good if key is not None and key.is_alive(self._now()) else self._bad
        with self._lock:
            for other in (self._good, self._bad):
                other.pop(mark, None)
            memory[mark] = (read_at, key)
            if len(memory) > ENTRIES:
                memory.popitem(last=False)


@lru_cache(ENTRIES)
def _access(key: Key, out_of_scope: str) -> Access:
    return key.access(out_of_scope)


def _mark(text: str) -> bytes:
    """Return the digest under which a key is remembered, so that its text is not kept in memory."""
    return sha256(text.encode("utf-8", "surrogateescape")).digest()

"""Finds the key of a request, and asks the database at most once every few seconds for a key in use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from threading import Lock
from typing import NamedTuple

from cachetools import TLRUCache

from app.domain.access import Access, Key
from app.domain.keys.keys import Keys
from app.errors import Unauthorized

# A revocation takes effect within 5 s; the read that finds it takes the rest.
VALID_SECONDS = 3.0
MAX_ENTRIES = 10_000


class Recognised(NamedTuple):
    """The key of a text, None if it is unknown, and the time before it was read."""

    read_at: float
    key: Key | None


class Authenticator:
    """Remember each key for VALID_SECONDS, including unknown and ended ones.

    Those are remembered alike, so that the time of a refusal does not reveal its reason, and apart from the valid keys,
    so that a stream of wrong keys does not displace these. No client has the text of a new key before it can be found.

    ``note`` receives each use, by the key's id and the time; it must be quick and raise nothing. ``now`` is the time of
    day, for expiry; ``clock`` counts monotonic seconds. ``out_of_scope`` applies to keys that do not set it.
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
        self._valid, self._refused = _memory(clock), _memory(clock)

    def authenticate(self, text: str | None) -> Access:
        """Return the rights of the key ``text``.

        Raises Unauthorized, alike for a missing, malformed, unknown, expired and revoked key, and Unavailable if the
        database does not answer.
        """
        key = self._recognise(text) if text else None
        now = self._now()
        if key is None or not key.is_alive(now):
            raise Unauthorized
        self._note(key.id, now)
        return _access(key, self._out_of_scope)

    def recall(self, text: str | None) -> Access | None:
        """Return the rights of a remembered valid key, None for any other text, without asking the database."""
        if not text:
            return None
        entry, now = self._find(self._valid, _digest(text)), self._now()
        if entry is None or entry.key is None or not entry.key.is_alive(now):
            return None
        self._note(entry.key.id, now)
        return _access(entry.key, self._out_of_scope)

    def _recognise(self, text: str) -> Key | None:
        digest, started = _digest(text), self._clock()
        entry = self._find(self._valid, digest) or self._find(self._refused, digest)
        if entry is None:
            entry = Recognised(started, self._keys.recognise(text))
            is_valid = entry.key is not None and entry.key.is_alive(self._now())
            with self._lock:
                (self._valid if is_valid else self._refused)[digest] = entry
        return entry.key

    def _find(self, memory: TLRUCache[bytes, Recognised], digest: bytes) -> Recognised | None:
        with self._lock:
            try:
                return memory[digest]  # Three times as fast as get().
            except KeyError:
                return None


def _memory(clock: Callable[[], float]) -> TLRUCache[bytes, Recognised]:
    return TLRUCache(MAX_ENTRIES, lambda _, entry, __: entry.read_at + VALID_SECONDS, clock)


@lru_cache(MAX_ENTRIES)
def _access(key: Key, out_of_scope: str) -> Access:
    return key.access(out_of_scope)


def _digest(text: str) -> bytes:
    """Return the name under which a key is remembered, so that its text is not."""
    return sha256(text.encode("utf-8", "surrogateescape")).digest()

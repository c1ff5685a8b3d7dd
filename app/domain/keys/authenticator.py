"""Finds the key of a request, and asks the database at most once every few seconds for a key in use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
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
    """The time before a key was read, the key and its rights; both are None for the text of no key."""

    read_at: float
    key: Key | None = None
    access: Access | None = None

    def valid_access(self, now: datetime) -> Access | None:
        """Return the rights of the key if it is valid at ``now``."""
        return self.access if self.key is not None and self.key.is_alive(now) else None


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
        if not text:
            raise Unauthorized
        return self._authenticate(_digest(text), lambda: self._keys.recognise(text))

    def authenticate_id(self, key_id: int) -> Access:
        """Return the rights of a key that was authenticated before, such as of a stream. Raises as ``authenticate``."""
        return self._authenticate(_digest_of_id(key_id), lambda: self._keys.find(key_id))

    def recall(self, text: str | None) -> Access | None:
        """Return the rights of a remembered valid key, None for any other text, without asking the database."""
        entry, now = self._find(self._valid, _digest(text)) if text else None, self._now()
        access = entry.valid_access(now) if entry else None
        if access is not None:
            self._note(access.key_id, now)
        return access

    def _authenticate(self, digest: bytes, find: Callable[[], Key | None]) -> Access:
        now = self._now()
        access = self._recognise(digest, find).valid_access(now)
        if access is None:
            raise Unauthorized
        self._note(access.key_id, now)
        return access

    def _recognise(self, digest: bytes, find: Callable[[], Key | None]) -> Recognised:
        started = self._clock()
        entry = self._find(self._valid, digest) or self._find(self._refused, digest)
        if entry is None:
            key = find()
            entry = Recognised(started, key, key.access(self._out_of_scope)) if key else Recognised(started)
            is_valid = entry.valid_access(self._now()) is not None
            with self._lock:
                (self._valid if is_valid else self._refused)[digest] = entry
        return entry

    def _find(self, memory: TLRUCache[bytes, Recognised], digest: bytes) -> Recognised | None:
        with self._lock:
            try:
                return memory[digest]  # Three times as fast as get().
            except KeyError:
                return None


def _memory(clock: Callable[[], float]) -> TLRUCache[bytes, Recognised]:
    return TLRUCache(MAX_ENTRIES, lambda _, entry, __: entry.read_at + VALID_SECONDS, clock)


def _digest(text: str) -> bytes:
    """Return the name under which a key is remembered, so that its text is not."""
    return sha256(text.encode("utf-8", "surrogateescape")).digest()


def _digest_of_id(key_id: int) -> bytes:
    """Return the cache key of a key that is looked up by its id. It differs from every digest, which has 32 bytes."""
    return f"key:{key_id}".encode()

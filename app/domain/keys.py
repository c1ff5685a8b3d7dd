"""Keys: made once and shown once, looked up by digest, never changed, ended by a revocation of their own.

In `-keys`, `key:<id>` holds what a key may do, `digest:<digest>` leads from a key's digest to it, and
`revocation:<id>` ends it. All three are written once and read by `_id`, so that no conflicting edit can revive a
key and a key is known to every node as soon as a quorum has it.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.access import SCOPES, Access
from app.domain.allocator import Allocator
from app.domain.clock import stamp
from app.domain.key_text import compose, digest, is_well_formed
from app.domain.kinds import KEY, digits
from app.errors import Conflict, Fault, NotFound, ValidationFailed
from app.store import Database

# Rows read at once when all keys are listed.
CHUNK = 500


@dataclass(frozen=True)
class Key:
    """A key as it can be shown: everything but its secret."""

    id: int
    principal: str
    name: str
    scopes: tuple[str, ...]
    created_at: str
    expires_at: str | None
    revoked_at: str | None

    def is_alive(self, now: datetime) -> bool:
        """Tell whether the key is neither revoked nor expired at ``now``."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > stamp(now))

    @property
    def access(self) -> Access:
        """What the key allows."""
        return Access(self.id, self.principal, frozenset(self.scopes))


class Keys:
    """All keys of an installation. The first of ``secrets`` digests new keys and all of them recognise old ones."""

    def __init__(
        self, keys: Database, allocator: Allocator, secrets: Sequence[str], now: Callable[[], datetime]
    ) -> None:
        self._keys, self._allocator, self._secrets, self._now = keys, allocator, tuple(secrets), now

    def create(
        self, name: str, scopes: Iterable[str], *, expires_at: datetime | None = None, env: str = "live"
    ) -> tuple[Key, str]:
        """Make a key; return it with its text, which cannot be had again.

        Raises ValidationFailed for a name that is not of 1 to 300 characters, for no scope and for an unknown one.
        """
        chosen = sorted(set(scopes))
        _check(name, chosen)
        key_id, text = self._allocator.next_id(), compose(env, os.urandom(32))
        created_at = stamp(self._now())
        mark = digest(self._secrets[0], text)
        document = {
            "_id": KEY.key(key_id),
            "type": "key",
            "id": key_id,
            "principal": f"p{key_id}",
            "name": name,
            "scopes": chosen,
            "digest": mark,
            "created_at": created_at,
        }
        if expires_at is not None:
            document["expires_at"] = stamp(expires_at)
        self._keys.create(document)
        # The digest comes second: a key is not usable before it is whole.
        self._keys.create(
            {
                "_id": f"digest:{mark}",
                "type": "digest",
                "digest": mark,
                "key": key_id,
                "created_at": created_at,
            }
        )
        return _key(document, None), text

    def revoke(self, key_id: int) -> Key:
        """End a key for ever; return it as it is now. Revoking it again changes nothing. Raises NotFound."""
        now = stamp(self._now())
        key = self.get(key_id)
        if key.revoked_at is None:
            revocation = {
                "_id": _revocation(key_id),
                "type": "revocation",
                "key": key_id,
                "at": now,
                "created_at": now,
            }
            # A conflict means that someone else revoked it at this moment, which is what was wanted.
            with suppress(Conflict):
                self._keys.create(revocation)
        return self.get(key_id)

    def get(self, key_id: int) -> Key:
        """Return one key. Raises NotFound."""
        found = self._read([key_id])
        if not found:
            raise NotFound(f"There is no key {key_id}.")
        return found[0]

    def all(self) -> Iterator[Key]:
        """Yield every key, by id."""
        start = KEY.first
        while rows := self._keys.ids(start, KEY.last, limit=CHUNK):
            yield from self._read([int(row.id.removeprefix("key:")) for row in rows])
            start = KEY.key(int(rows[-1].id.removeprefix("key:")) + 1)

    def recognise(self, text: str) -> Key | None:
        """Return the key that ``text`` is, alive or not."""
        if not is_well_formed(text):
            return None
        marks = [digest(secret, text) for secret in self._secrets]
        pointers = self._keys.get_many([f"digest:{mark}" for mark in marks])
        for mark in marks:
            pointer = pointers.get(f"digest:{mark}")
            if pointer is not None and hmac.compare_digest(pointer["digest"], mark):
                return next(iter(self._read([pointer["key"]])), None)
        return None

    def _read(self, key_ids: Sequence[int]) -> list[Key]:
        names = [name for key_id in key_ids for name in (KEY.key(key_id), _revocation(key_id))]
        found = self._keys.get_many(names)
        return [
            _key(found[KEY.key(key_id)], found.get(_revocation(key_id)))
            for key_id in key_ids
            if KEY.key(key_id) in found
        ]


def _check(name: str, scopes: Sequence[str]) -> None:
    faults = [Fault("body.scopes", f"There is no scope {scope}.") for scope in scopes if scope not in SCOPES]
    if not scopes:
        faults.append(Fault("body.scopes", "At least one scope is needed."))
    if not 1 <= len(name) <= 300:
        faults.append(Fault("body.name", "A name has 1 to 300 characters."))
    if faults:
        raise ValidationFailed(faults=tuple(faults))


def _revocation(key_id: int) -> str:
    return f"revocation:{digits(key_id)}"


def _key(document: dict[str, Any], revocation: dict[str, Any] | None) -> Key:
    return Key(
        id=document["id"],
        principal=document["principal"],
        name=document["name"],
        scopes=tuple(document["scopes"]),
        created_at=document["created_at"],
        expires_at=document.get("expires_at"),
        revoked_at=revocation["at"] if revocation else None,
    )

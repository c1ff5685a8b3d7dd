"""Keys: created and shown once, looked up by digest, never changed, ended by separate documents.

In `-keys`, `key:<id>` holds the rights of a key, `digest:<digest>` leads from the digest of its text to it,
`revocation:<id>` ends it at once and `retirement:<id>` at the moment that its rotation chose. All are written once and
read by `_id`, so that no conflicting edit can revive a key, and every node knows a key as soon as a quorum has it
(docs/decisions/keys-at-rest.md). app.domain.keys.usage stores the last use of each key.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from app.domain.access import SCOPES, Access, Key, reach
from app.domain.keys.key_text import compose, digest, is_well_formed
from app.domain.keys.usage import Usage
from app.domain.listing.pages import IndexRow, ListQuery, Page, cut
from app.domain.resources import KEY, stamp
from app.errors import Conflict, Fault, Forbidden, NotFound, Unavailable, ValidationFailed
from app.store import Database
from app.store.claimed_ids import Allocator
from app.store.items import digits, new_document

# Rows per read if most keys are read and few are shown, or all.
CHUNK_KEYS = 500
# Seconds for which a rotated key may still work; the third is the default.
OVERLAP_SECONDS = (0, 3_600, 86_400, 604_800)
DEFAULT_OVERLAP_SECONDS = 86_400
# Most projects, and most documents, that a key can be limited to.
MAX_IDS = 1_000
NO_KEY = 0  # Public ids begin with 1.
# The members that a successor inherits.
INHERITED = ("principal", "name", "scopes", "projects", "documents", "out_of_scope", "expires_at")


class Keys:
    """All keys of an installation. The first of ``secrets`` digests new keys and all of them recognise old ones.

    ``by`` is the calling key: it cannot create a key with more rights or a longer life; None is an operator.
    """

    def __init__(
        self,
        keys: Database,
        allocator: Allocator,
        usage: Usage,
        secrets: Sequence[str],
        now: Callable[[], datetime],
    ) -> None:
        self._keys, self._allocator, self._usage = keys, allocator, usage
        self._secrets, self._now = tuple(secrets), now

    def create(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        projects: Iterable[int] | None = None,
        documents: Iterable[int] | None = None,
        out_of_scope: str | None = None,
        expires_at: datetime | None = None,
        env: str = "live",
        by: Access | None = None,
    ) -> tuple[Key, str]:
        """Create a key. Returns it with its text, which cannot be shown again.

        ``projects`` and ``documents`` limit it to their union; without both it is unlimited. Without ``expires_at`` it
        expires with the key of ``by``. Raises ValidationFailed for a name that is not of 1 to 300 characters,
        for no scope, for an unknown one, for more than 1,000 projects or documents and for an expiry in the
        past, and Forbidden for a key with more rights than ``by``.
        """
        members = {
            "name": name,
            "scopes": sorted(set(scopes)),
            "projects": None if projects is None else sorted(set(projects)),
            "documents": None if documents is None else sorted(set(documents)),
            "out_of_scope": out_of_scope,
            "expires_at": stamp(expires_at) if expires_at else by.expires_at if by else None,
        }
        _check(members, stamp(self._now()))
        if by is not None:
            _require_no_wider(members, by)
        return self._mint(members, env)

    def rotate(
        self, key_id: int, overlap: int = DEFAULT_OVERLAP_SECONDS, *, env: str = "live", by: Access | None = None
    ) -> tuple[Key, str]:
        """Create a key with the same principal, rights and expiry. Returns it with its text.

        The old key works for another ``overlap`` seconds, one of OVERLAP_SECONDS, so that one key always works.
        Raises NotFound, Forbidden, and Conflict for a key that has ended or was rotated before.
        """
        old = self.get(key_id, by)
        members = {name: getattr(old, name) for name in INHERITED}
        if by is not None:
            _require_no_wider(members, by)
        if not old.is_alive(self._now()) or old.retired_at is not None:
            raise Conflict(f"Key {key_id} has ended or was rotated before.")
        new, text = self._mint(members, env)
        try:
            self._end("retirement", key_id, self._now() + timedelta(seconds=overlap))
        except Conflict:
            # Another caller rotated it at this moment, so this successor must not live.
            self.revoke(new.id)
            raise Conflict(f"Key {key_id} has ended or was rotated before.") from None
        except Unavailable:
            # The new key's text will not be shown, so it must not live; the caller rotates again.
            with suppress(Unavailable):
                self.revoke(new.id)
            raise
        return new, text

    def revoke(self, key_id: int, by: Access | None = None) -> Key:
        """End a key permanently. Returns it as it is now. Idempotent. Raises as ``get`` does."""
        if self.get(key_id, by).revoked_at is None:
            # A conflict means that another caller has revoked it at this moment.
            with suppress(Conflict):
                self._end("revocation", key_id, self._now())
        return self.get(key_id)

    def get(self, key_id: int, by: Access | None = None) -> Key:
        """Return one key. Raises NotFound, and Forbidden if its limits exceed those of ``by``."""
        absent = NotFound(f"There is no key {key_id}.")
        keys = self._read([key_id])
        if by is not None and by.reach is not None and not (keys and by.covers(keys[0].reach)):
            raise by.refusal(absent)
        if not keys:
            raise absent
        return self._with_usage(keys)[0]

    def all(self) -> Iterator[Key]:
        """Yield every key, in the order of their ids."""
        keys = self._walk(ListQuery(CHUNK_KEYS), CHUNK_KEYS)
        while chunk := list(islice(keys, CHUNK_KEYS)):
            yield from self._with_usage(chunk)

    def page(self, query: ListQuery, by: Access | None = None) -> Page:
        """Return a page of the keys whose limits do not exceed those of ``by``. Its items are Keys."""
        # A limited key sees few keys among many, so reading a page's worth at a time would take many reads.
        at_once = CHUNK_KEYS if by is not None and by.reach is not None else query.limit + 1
        admitted = (key for key in self._walk(query, at_once) if by is None or by.covers(key.reach))
        keys = self._with_usage(list(islice(admitted, query.limit + 1)))
        page = cut([IndexRow(key.id, key.revision) for key in keys], query)
        return replace(page, items=tuple(keys[: query.limit]))

    def _walk(self, query: ListQuery, at_once: int) -> Iterator[Key]:
        """Yield the keys from the query's position on."""
        while True:
            low, high = (KEY.doc_id(bound) for bound in query.bounds)
            start, end = (high, low) if query.descending else (low, high)
            rows = self._keys.ids(start, end, limit=at_once, descending=query.descending)
            yield from self._read([KEY.public_id(row.id) for row in rows])
            if len(rows) < at_once:
                return
            query = replace(query, position=KEY.public_id(rows[-1].id))

    def recognise(self, text: str) -> Key | None:
        """Return the key with this ``text``, valid or not, None if it does not exist.

        An unknown text takes the same number of reads as a known one, so that the time does not reveal the difference.
        A key known only under an older secret is stored under the first one as well, so that the older secret can be
        dropped when every key has been used.
        """
        if not is_well_formed(text):
            return None
        marks = [digest(secret, text) for secret in self._secrets]
        pointers = self._keys.get_many([f"digest:{mark}" for mark in marks])
        known = [mark for mark in marks if _leads(pointers.get(f"digest:{mark}"), mark)]
        key_id = pointers[f"digest:{known[0]}"]["key"] if known else NO_KEY
        if known and known[0] != marks[0]:
            self._point(marks[0], key_id)
        return self.find(key_id)

    def find(self, key_id: int) -> Key | None:
        """Return the key with this id, valid or not, None if it does not exist."""
        return next(iter(self._read([key_id])), None)

    def _mint(self, members: dict[str, Any], env: str) -> tuple[Key, str]:
        """Store a new key with these ``members``; unless they name a principal, it gets its own."""
        key_id, text = self._allocator.next_id(), compose(env, os.urandom(32))
        mark = digest(self._secrets[0], text)
        head = {"type": "key", "id": key_id, "principal": f"p{key_id}"}
        given = {name: value for name, value in members.items() if value is not None}
        fields = head | given | {"digest": mark, "created_at": stamp(self._now())}
        self._keys.create(new_document(KEY.doc_id(key_id), fields))
        # The digest comes second, so that a key is usable only when it is complete.
        self._keys.create(self._pointer(mark, key_id))
        return Key.of(fields), text

    def _point(self, mark: str, key_id: int) -> None:
        """Store a digest that leads to a key; if this fails, the next use tries again."""
        with suppress(Conflict, Unavailable):
            self._keys.create(self._pointer(mark, key_id))

    def _pointer(self, mark: str, key_id: int) -> dict[str, Any]:
        fields = {"type": "digest", "digest": mark, "key": key_id, "created_at": stamp(self._now())}
        return new_document(f"digest:{mark}", fields)

    def _end(self, how: str, key_id: int, at: datetime) -> None:
        """Write the document that ends a key. Raises Conflict if it was written before."""
        fields = {"type": how, "key": key_id, "at": stamp(at), "created_at": stamp(self._now())}
        self._keys.create(new_document(f"{how}:{digits(key_id)}", fields))

    def _read(self, key_ids: Sequence[int]) -> list[Key]:
        kinds = ("key", "revocation", "retirement")
        documents = self._keys.get_many([f"{kind}:{digits(key_id)}" for key_id in key_ids for kind in kinds])
        parts = [[documents.get(f"{kind}:{digits(key_id)}") for kind in kinds] for key_id in key_ids]
        return [Key.of(key, revocation, retirement) for key, revocation, retirement in parts if key is not None]

    def _with_usage(self, keys: Sequence[Key]) -> list[Key]:
        """Return keys with the moments of their last use."""
        moments = self._usage.last_used(key.id for key in keys)
        return [replace(key, last_used_at=moments.get(key.id)) for key in keys]


def _leads(pointer: dict[str, Any] | None, mark: str) -> bool:
    return pointer is not None and hmac.compare_digest(pointer["digest"], mark)


def _check(members: Mapping[str, Any], now: str) -> None:
    scopes, expires_at = members["scopes"], members["expires_at"]
    faults = [Fault("body.scopes", f"There is no scope {scope}.") for scope in scopes if scope not in SCOPES]
    if not scopes:
        faults.append(Fault("body.scopes", "At least one scope is needed."))
    if not 1 <= len(members["name"]) <= 300:
        faults.append(Fault("body.name", "A name has 1 to 300 characters."))
    overlong = [limit for limit in ("projects", "documents") if len(members[limit] or ()) > MAX_IDS]
    faults += [Fault(f"body.{limit}", f"A key is limited to at most {MAX_IDS} of them.") for limit in overlong]
    if expires_at is not None and expires_at <= now:
        faults.append(Fault("body.expires_at", "That moment is in the past."))
    if faults:
        raise ValidationFailed(faults=tuple(faults))


def _require_no_wider(members: Mapping[str, Any], by: Access) -> None:
    """Raise Forbidden for a key with more rights or a longer life than ``by``."""
    wider, expires_at = sorted(set(members["scopes"]) - by.scopes), members["expires_at"]
    if wider:
        raise Forbidden(f"This key lacks {', '.join(wider)}, so it cannot create a key with it.")
    if not by.covers(reach(members["projects"], members["documents"])):
        raise Forbidden("This key is limited, so it creates keys only for its own projects and documents.")
    if by.expires_at is not None and (expires_at is None or expires_at > by.expires_at):
        raise Forbidden(f"This key expires at {by.expires_at}, so it cannot create a key that lives longer.")

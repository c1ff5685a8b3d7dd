"""Deals out ids that are never dealt out twice, by claiming blocks of them in `-meta` (docs/decisions/ids.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from threading import Lock

from app.domain.blocks import block, next_own
from app.domain.kinds import Kind, digits
from app.errors import Conflict, Unavailable
from app.request_context import remaining
from app.store import Database

# So many lost races in a row mean that something else is wrong.
MAX_TRIES = 100


class _Held:
    """The rest of the block that this process holds. A child of a fork starts without one."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = Lock()
        self.ids: Iterator[int] = iter(())
        self.highest_seen: int | None = None


class Allocator:
    """Ids of one kind, unique across the threads, processes, hosts and regions that share ``meta`` or replicate it.

    A block belongs to whoever creates its claim, a new document, and learns so: only CouchDB's 201 is proof. A
    claim that was refused, or whose outcome is unknown, is never used: gaps are allowed, reuse is not.
    """

    def __init__(self, meta: Database, kind: Kind, region: int, regions: int, now: Callable[[], str]) -> None:
        self._meta, self._kind, self._now = meta, kind, now
        self._region, self._regions = region, regions
        self._held = _Held()

    def next_id(self) -> int:
        """Return an id that nobody else has been or will be given.

        Raises Unavailable if no block could be claimed, or none while the request had time left.
        """
        if self._held.pid != os.getpid():
            self._held = _Held()
        held, left = self._held, remaining()
        # Who holds the lock may be waiting for the database, and has a deadline of its own.
        if not held.lock.acquire(timeout=-1 if left is None else max(left, 0)):
            raise Unavailable
        try:
            for public_id in held.ids:
                return public_id
            held.ids = iter(self._claim(held))
            return next(held.ids)
        finally:
            held.lock.release()

    def _claim(self, held: _Held) -> range:
        for _ in range(MAX_TRIES):
            if held.highest_seen is None:
                held.highest_seen = self._highest_claimed()
            number = next_own(held.highest_seen, self._region, self._regions)
            # Raised first, so that a claim whose outcome stays unknown is not tried again.
            held.highest_seen = number
            try:
                self._meta.create(self._claim_document(number))
            except Conflict:
                held.highest_seen = max(number, self._highest_claimed())
            else:
                return block(number)
        raise Unavailable

    def _highest_claimed(self) -> int:
        """Return the highest block number of any region, so that a region added later starts above the others."""
        found = self._meta.last_id(self._claim_id(0), self._prefix + "9" * 16)
        return -1 if found is None else int(found.removeprefix(self._prefix))

    def _claim_document(self, number: int) -> dict[str, object]:
        return {
            "_id": self._claim_id(number),
            "type": "claim",
            "kind": self._kind.name,
            "number": number,
            "region": self._region,
            "created_at": self._now(),
        }

    def _claim_id(self, number: int) -> str:
        return self._prefix + digits(number)

    @property
    def _prefix(self) -> str:
        return f"claim:{self._kind.name}:"

"""Deals out ids that are never dealt out twice, by claiming blocks of them in `-meta` (docs/decisions/ids.md)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from itertools import chain, islice
from threading import Lock

from app.errors import Unavailable
from app.request_context import remaining
from app.store.blocks import block, next_own
from app.store.database import Database
from app.store.doc_ids import digits
from app.store.outcomes import DocumentFailure

log = logging.getLogger("dreamscript.allocator")

# So many lost races in a row mean that something else is wrong.
MAX_TRIES = 100
# As many ids as a batch may need lie in so many blocks, also where an installation begins.
MOST_BLOCKS = 200


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

    def __init__(self, meta: Database, name: str, region: int, regions: int, now: Callable[[], str]) -> None:
        self._meta, self._name, self._now = meta, name, now
        self._region, self._regions = region, regions
        self._held = _Held()

    def next_id(self) -> int:
        """Return an id that nobody else has been or will be given. Raises what ``next_ids`` raises."""
        return self.next_ids(1)[0]

    def next_ids(self, count: int) -> tuple[int, ...]:
        """Return so many of them, rising; the blocks that they need are claimed in one request.

        Raises Unavailable if no block could be claimed, or none while the request had time left.
        """
        if not count:
            return ()
        if self._held.pid != os.getpid():
            self._held = _Held()
        held, left = self._held, remaining()
        # Who holds the lock may be waiting for the database, and has a deadline of its own.
        if not held.lock.acquire(timeout=-1 if left is None else max(left, 0)):
            raise Unavailable
        try:
            found = list(islice(held.ids, count))
            while lacking := count - len(found):
                held.ids = chain.from_iterable(self._claim(held, lacking))
                found += islice(held.ids, lacking)
            return tuple(found)
        finally:
            held.lock.release()

    def _claim(self, held: _Held, count: int) -> list[range]:
        """Return new blocks of this process, which may hold fewer ids than ``count`` where others claim too."""
        for _ in range(MAX_TRIES):
            if held.highest_seen is None:
                held.highest_seen = self._highest_claimed()
            numbers = self._next_numbers(held.highest_seen, count)
            # Raised first, so that a claim whose outcome stays unknown is not tried again.
            held.highest_seen = numbers[-1]
            outcomes = self._meta.write_many([self._claim_document(number) for number in numbers])
            own = [block(number) for number in numbers if isinstance(outcomes[self._claim_id(number)], str)]
            if own:
                return own
            if DocumentFailure.CONFLICT not in outcomes.values():
                log.error("no block of ids could be claimed", extra={"kind": self._name, "blocks": numbers})
                raise Unavailable
            held.highest_seen = max(numbers[-1], self._highest_claimed())
        raise Unavailable

    def _next_numbers(self, highest: int, count: int) -> list[int]:
        """Return the next block numbers of this region that hold ``count`` ids, or as many as are claimed at once."""
        numbers: list[int] = []
        while count > 0 and len(numbers) < MOST_BLOCKS:
            highest = next_own(highest, self._region, self._regions)
            numbers.append(highest)
            count -= len(block(highest))
        return numbers

    def _highest_claimed(self) -> int:
        """Return the highest block number of any region, so that a region added later starts above the others."""
        found = self._meta.last_id(self._claim_id(0), self._prefix + "9" * 16)
        return -1 if found is None else int(found.removeprefix(self._prefix))

    def _claim_document(self, number: int) -> dict[str, object]:
        return {
            "_id": self._claim_id(number),
            "type": "claim",
            "kind": self._name,
            "number": number,
            "region": self._region,
            "created_at": self._now(),
        }

    def _claim_id(self, number: int) -> str:
        return self._prefix + digits(number)

    @property
    def _prefix(self) -> str:
        return f"claim:{self._name}:"

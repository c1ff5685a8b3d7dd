"""Allocates ids that are never allocated twice, by claiming blocks of them in `-meta` (docs/decisions/ids.md).

A block begins and ends at a fixed function of its number, so that no two claims can disagree. Blocks hold 1 id up to
id 100, 10 up to 1,000, 100 up to 100,000 and then 1,000. Block 0 holds id 1.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from threading import Lock

from app.errors import Unavailable, Unconfirmed
from app.request_context import remaining
from app.store.database import Database
from app.store.exchange import DocumentFailure, Outcome
from app.store.items import MAX_ID, digits

log = logging.getLogger("dreamscript.allocator")

# More lost races in a row have another cause.
MAX_TRIES = 100
# More claims of unknown outcome are no contention either: too few nodes are up for a quorum.
MAX_UNKNOWN = 20
# The blocks that hold the ids of the largest batch, even in a new installation.
MAX_BLOCKS_PER_CLAIM = 200
# The first block of each stretch, the first id in it, and how many ids each of its blocks holds.
STRETCHES = ((0, 1, 1), (100, 101, 10), (190, 1_001, 100), (1_180, 100_001, 1_000))


def block(number: int) -> range:
    """Return the ids of block ``number``, which counts from 0."""
    first_block, first_id, size = next(row for row in reversed(STRETCHES) if number >= row[0])
    start = first_id + (number - first_block) * size
    return range(start, min(start + size, MAX_ID + 1))


def next_own(number: int, region: int, regions: int) -> int:
    """Return the lowest block number above ``number`` (-1 for none yet) that belongs to ``region``."""
    return number + 1 + (region - number - 1) % regions


class _Held:
    """The unused ids of this process. A child of a fork starts without any."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = Lock()
        self.ids: Iterator[int] = iter(())
        self.highest_seen: int | None = None


class Allocator:
    """Ids of one resource type, unique across the threads, processes, hosts and regions that share ``meta``.

    A block belongs to the process that creates its claim, a new document: only CouchDB's 201 is proof. A block whose
    claim was refused, or has an unknown outcome, is never used: gaps are allowed, reuse is not.
    """

    def __init__(self, meta: Database, name: str, region: int, regions: int, now: Callable[[], str]) -> None:
        self._meta, self._name, self._now = meta, name, now
        self._region, self._regions = region, regions
        self._held = _Held()

    def next_id(self) -> int:
        """Return an id that is assigned to no other caller. Raises as ``next_ids`` does."""
        return self.next_ids(1)[0]

    def next_ids(self, count: int) -> tuple[int, ...]:
        """Return ``count`` ids in rising order, claiming the blocks in one request.

        Raises Unavailable if no block could be claimed, or none within the time of the request.
        """
        if not count:
            return ()
        if self._held.pid != os.getpid():
            self._held = _Held()
        held, seconds_left = self._held, remaining()
        # The thread that holds the lock may be waiting for the database, and has a deadline of its own.
        if not held.lock.acquire(timeout=-1 if seconds_left is None else max(seconds_left, 0)):
            raise Unavailable
        try:
            ids = list(islice(held.ids, count))
            while missing := count - len(ids):
                held.ids = chain.from_iterable(self._claim(held, missing))
                ids += islice(held.ids, missing)
            return tuple(ids)
        finally:
            held.lock.release()

    def _claim(self, held: _Held, count: int) -> list[range]:
        """Return new blocks of this process; they hold fewer than ``count`` ids if others won some of them.

        Blocks whose claims were lost to others, or have an unknown outcome, are left behind, and the next are tried.
        """
        unknown = 0
        for _ in range(MAX_TRIES):
            if held.highest_seen is None:
                held.highest_seen = self._highest_claimed()
            numbers = self._next_numbers(held.highest_seen, count)
            # Set first, so that a claim of unknown outcome is not tried again.
            held.highest_seen = numbers[-1]
            outcomes = self._send_claims(numbers)
            own = [block(number) for number in numbers if isinstance(outcomes[number], str)]
            if own:
                return own
            if DocumentFailure.CONFLICT not in outcomes.values():
                unknown += 1
                if unknown == MAX_UNKNOWN or DocumentFailure.FORBIDDEN in outcomes.values():
                    log.error("no block of ids could be claimed", extra={"kind": self._name, "blocks": numbers})
                    raise Unavailable
            held.highest_seen = max(numbers[-1], self._highest_claimed())
        raise Unavailable

    def _send_claims(self, numbers: Sequence[int]) -> dict[int, Outcome]:
        """Claim blocks in one request; return the outcome of each. Raises Unavailable if certainly none is claimed."""
        try:
            outcomes = self._meta.write_many([self._claim_document(number) for number in numbers])
        except Unconfirmed:
            return dict.fromkeys(numbers, DocumentFailure.UNKNOWN)
        return {number: outcomes[self._claim_id(number)] for number in numbers}

    def _next_numbers(self, highest: int, count: int) -> list[int]:
        """Return the next block numbers of this region that hold ``count`` ids, or as many as are claimed at once."""
        numbers: list[int] = []
        while count > 0 and len(numbers) < MAX_BLOCKS_PER_CLAIM:
            highest = next_own(highest, self._region, self._regions)
            numbers.append(highest)
            count -= len(block(highest))
        return numbers

    def _highest_claimed(self) -> int:
        """Return the highest block number of any region, so that a region added later starts above the others."""
        claim_id = self._meta.last_id(self._claim_id(0), self._prefix + "9" * 16)
        return -1 if claim_id is None else int(claim_id.removeprefix(self._prefix))

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

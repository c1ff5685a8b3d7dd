"""A simulated database of two shards, whose feed goes back, loses parts and reports late: at random, but repeatably."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import cast

from app.domain.changes.bare_tombstones import BareTombstones
from app.domain.changes.changes import Changes
from app.domain.changes.conflict_marks import ConflictMarks
from app.domain.changes.departures import departures
from app.domain.changes.first_sync import FirstSync
from app.domain.changes.hub import Hub
from app.domain.changes.subscription import Channel
from app.domain.resources import DOCUMENT, stamp
from app.store.feed import Feed, FeedPart, FeedRow, FeedState
from app.store.items import StoredItem
from tests.clock import ManualClock

HOME, AWAY = 10, 11
SHARDS = (0, 1)
START = datetime(2026, 11, 28, 12, tzinfo=UTC)
STEP_SECONDS = 0.1
# Shares: of steps that write; of writes that delete a document, move one, or change one whose earlier state is about to
# be reported; of reads that go back to an earlier place; of parts that get lost. With these values, the test notices
# known faults within a few runs.
WRITES, DELETIONS, MOVES, RACES, REWINDS, LOSSES = 0.7, 0.15, 0.75, 0.3, 0.1, 0.2
# The choices for the most rows in a part, and for the number of steps before or after a request to the database.
PART_ROWS, PASSING_STEPS = (1, 3, 100), (0, 0, 1, 2, 5)


class Database:
    """Random documents in two projects. Its sequences count the changes of both shards, such as `5-3,2`."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.items: dict[int, StoredItem] = {}
        # The number of changes of each shard, and the last one of each document.
        self._counts, self._numbers = [0 for _ in SHARDS], dict[int, int]()

    @property
    def present(self) -> str:
        """The place at the end of the feed."""
        return _sequence(self._counts)

    def write(self, public_id: int, at: str) -> StoredItem:
        """Create, edit, move or delete a document."""
        before = self.items.get(public_id)
        is_deleted = before is not None and not before.is_deleted and self._random.random() < DELETIONS
        project_id = before.project_id if before and is_deleted else self._next_project(before)
        fields = {"id": public_id, "title": "x", "updated_at": at, "project_id": project_id}
        fields |= departures(before, project_id, at)
        revision = f"{before.generation + 1 if before else 1}-a"
        self.items[public_id] = StoredItem(DOCUMENT.doc_id(public_id), revision, fields, is_deleted)
        self._counts[_shard(public_id)] += 1
        self._numbers[public_id] = self._counts[_shard(public_id)]
        return self.items[public_id]

    def _next_project(self, before: StoredItem | None) -> int:
        if before is None:
            return self._random.choice((HOME, AWAY))
        is_at_home = before.project_id == HOME
        is_moved = self._random.random() < MOVES
        return AWAY if is_at_home == is_moved else HOME

    def read(self, sequence: str, limit: int) -> FeedPart:
        """Return the latest changes of each shard in their order; both shards are mixed at random."""
        counts, rows = _counts(sequence), list[FeedRow]()
        pending = [self._after(shard, counts[shard]) for shard in SHARDS]
        while any(pending) and len(rows) < limit:
            shard = self._random.choice([each for each in SHARDS if pending[each]])
            public_id = pending[shard].pop(0)
            counts[shard] = self._numbers[public_id]
            rows.append(FeedRow(self.items[public_id], _sequence(counts)))
        is_last = len(rows) < limit
        return FeedPart(tuple(rows), self.present if is_last else _sequence(counts), is_last)

    def _after(self, shard: int, number: int) -> list[int]:
        """Return the ids of the documents of a shard that changed after ``number``, in the order of their changes."""
        numbers = {each: last for each, last in self._numbers.items() if _shard(each) == shard and last > number}
        return sorted(numbers, key=numbers.__getitem__)


class Simulation:
    """A database, its follower and its hub. During requests of ``changes``, others write and the follower reports."""

    def __init__(self, seed: int, size: int, *, rewinds: bool) -> None:
        self.random, self.log = Random(f"{seed} {size} {rewinds}"), list[str]()
        self.database, self._size = Database(self.random), size
        self._clock, self._rewinds = ManualClock(), REWINDS if rewinds else 0.0
        self._hub = Hub(DOCUMENT, "secret", self._now, self._clock)
        self._hub.opened(self.database.present)
        # The places that the follower has reached, and the part that it has not reported yet.
        self._places, self._part = [self.database.present], cast(FeedPart | None, None)
        # Whether there are steps during requests.
        self.is_running = False
        self.changes = Changes(
            {DOCUMENT: SimulatedFeed(self)},
            {},
            {DOCUMENT: Channel(self._hub, self.pass_time, self._recent_changes)},
            cast(FirstSync, None),
            ConflictMarks(lambda *_: None),
            BareTombstones(lambda _: None),
            region=0,
            secret="secret",
            now=self._now,
        )

    def _now(self) -> datetime:
        return START + timedelta(seconds=self._clock.now)

    def pass_time(self) -> None:
        """Take some steps, perhaps none, while the simulation is running."""
        if self.is_running:
            for _ in range(self.random.choice(PASSING_STEPS)):
                self.step()

    def step(self) -> None:
        """Write a document, or read or report a part of the feed."""
        self._clock.now += STEP_SECONDS
        if self.random.random() < WRITES:
            item = self.database.write(self._next_id(), stamp(self._now()))
            self.log.append(f"write {_text(item)} at {self.database.present}")
        else:
            self._follow()

    def _next_id(self) -> int:
        if self._part and self._part.rows and self.random.random() < RACES:
            return self.random.choice(self._part.rows).item.public_id
        return self.random.randint(1, self._size)

    def _follow(self) -> None:
        if self._part is None:
            place = self.random.choice(self._places) if self.random.random() < self._rewinds else self._places[-1]
            self._part = self.database.read(place, self.random.choice(PART_ROWS))
            self.log.append(f"follower reads from {place} to {self._part.sequence}")
        else:
            self._report(self._part)
            self._places.append(str(self._part.sequence))
            self._part = None

    def _report(self, part: FeedPart) -> None:
        if self.random.random() < LOSSES:
            self._hub.skipped(part.sequence)
            self.log.append("follower loses the part")
        else:
            self._hub.received(part)
            self.log.append(f"follower reports {', '.join(_text(row.item) for row in part.rows) or 'nothing'}")

    def _recent_changes(self) -> Sequence[FeedRow]:
        self.pass_time()
        rows = self.database.read(_sequence([0, 0]), len(self.database.items) + 1).rows
        self.log.append("hub reads recent changes")
        self.pass_time()
        return rows

    def end(self) -> None:
        """Report the rest of the feed. Nothing else happens from now on."""
        self.is_running, self._rewinds = False, 0.0
        while self._part or self._places[-1] != self.database.present:
            self._follow()


class SimulatedFeed(Feed):
    """The feed as a poll reads it."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def state(self) -> FeedState:
        """Return the present state."""
        self._simulation.pass_time()
        return FeedState("identity", self._simulation.database.present, is_exact=True)

    def present(self, state: FeedState) -> int | str:
        """Return the place in ``state``."""
        return state.sequence

    def read(self, sequence: int | str, *, limit: int, with_documents: bool) -> FeedPart:  # noqa: ARG002
        """Return the rows after ``sequence``."""
        part = self._simulation.database.read(str(sequence), limit)
        self._simulation.log.append(f"poll reads from {sequence} to {part.sequence}")
        self._simulation.pass_time()
        return part


def _shard(public_id: int) -> int:
    return public_id % len(SHARDS)


def _sequence(counts: Sequence[int]) -> str:
    return f"{sum(counts)}-{','.join(map(str, counts))}"


def _counts(sequence: str) -> list[int]:
    return [int(count) for count in sequence.partition("-")[2].split(",")]


def _text(item: StoredItem) -> str:
    state = "deleted" if item.is_deleted else f"in {item.project_id}"
    return f"{item.public_id} {item.revision} {state}"

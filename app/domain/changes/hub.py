"""Passes the changes of one database on to the clients that wait for them; each is looked at once for all of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock

from app.domain.access import Reach
from app.domain.changes.departures import NewDepartures
from app.domain.changes.visibility import Shown, View, visible
from app.domain.resources import ResourceType, now, stamp
from app.store.feed import FeedPart, FeedRow, number
from app.store.items import StoredItem

# Batches are remembered up to these limits; a client that falls behind reads the feed itself.
MAX_BATCHES, MAX_CHARACTERS = 1000, 8 * 2**20
# The text in one batch, except that one document may be larger.
BATCH_CHARACTERS = 2**18
# A change is reported at most this long after it was stored, or the feed is lost (app/store/changes.py).
REPORT_DELAY = timedelta(seconds=3)
# The feed is read with documents for this time after a client has waited, since most wait again.
AWAITED_SECONDS = 60.0

# Clients with the same limits, filter and wish for values see the same changes.
ViewKey = tuple[Reach | None, int | None, bool]


@dataclass
class Batch:
    """Consecutive rows of the feed, and the place after them. Everything before ``time`` (RFC 3339) was reported."""

    number: int
    items: Sequence[StoredItem]
    sequence: int | str
    time: str
    received_at: float
    characters: int
    # Made when they are first needed: the bodies of items by `_id`, and changes by view.
    bodies: dict[str, bytes] = field(default_factory=dict)
    changes: dict[ViewKey, tuple[Shown, ...]] = field(default_factory=dict)
    rendered: dict[ViewKey, tuple[bytes, ...]] = field(default_factory=dict)


@dataclass(eq=False)
class Watcher:
    """A client's place: it has seen the batches up to ``position``. ``wake`` is called in another thread."""

    view: View
    with_values: bool
    position: int
    wake: Callable[[], None] = lambda: None

    @property
    def key(self) -> ViewKey:
        """Identifies the changes that the client sees."""
        return self.view.access.reach, self.view.project_id, self.with_values


class Hub:
    """The recent changes of the items of ``resource_type``, as a follower of the database reports them.

    ``secret`` is the key of the tags of removals, ``now`` the time of day, and ``clock`` counts seconds. Thread-safe.
    """

    def __init__(
        self,
        resource_type: ResourceType,
        secret: str,
        now: Callable[[], datetime] = now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resource_type, self._secret, self._now, self._clock = resource_type, secret, now, clock
        self._lock, self._watchers = Lock(), dict[ViewKey, set[Watcher]]()
        self._batches, self._characters = deque[Batch](), 0
        # The number of the last batch, and the moment since which no change is missing among the batches.
        self._last, self._complete_since = 0, clock()
        self._is_live, self._is_primed, self._awaited_until = False, False, 0.0
        self._departures = NewDepartures()

    @property
    def is_awaited(self) -> bool:
        """Whether any client waits, or has waited a moment ago."""
        return bool(self._watchers) or self._clock() < self._awaited_until

    def opened(self) -> None:
        """Note that every change from now on is reported."""
        with self._lock:
            self._is_live, self._complete_since = True, self._clock()

    def lost(self) -> None:
        """Note that changes may be missed until the feed is opened again."""
        with self._lock:
            self._is_live = False
        self.skipped()

    def skipped(self) -> None:
        """Forget the batches, since changes are missing after them; each client reads the feed itself."""
        with self._lock:
            self._last += 1
            self._batches.clear()
            self._characters, self._complete_since, self._is_primed = 0, self._clock(), False
            watchers = self._all_watchers()
        for watcher in watchers:
            watcher.wake()

    def prime(self, recent_changes: Callable[[], Iterable[FeedRow]]) -> None:
        """Note the departures of the last seconds, which the first client has read or is going to read."""
        self._awaited_until = self._clock() + AWAITED_SECONDS
        if not self._is_primed:
            self._is_primed = True
            rows = recent_changes()
            with self._lock:
                for row in rows:
                    self._departures.only_new(row.item)

    def received(self, part: FeedPart) -> None:
        """Note changes, and wake the clients that see any of them."""
        for items, sequence, characters in _portions(part.rows, self._resource_type, part.sequence):
            self._receive(items, sequence, characters)

    def _receive(self, items: Sequence[StoredItem], sequence: int | str, characters: int) -> None:
        with self._lock:
            self._last += 1
            items = [self._departures.only_new(item) for item in items]
            time = stamp(self._now() - REPORT_DELAY)
            batch = Batch(self._last, items, sequence, time, self._clock(), characters)
            self._batches.append(batch)
            self._characters += characters
            self._forget_old()
            watchers = [watcher for key in self._watchers for watcher in self._watchers_of(key, batch)]
        for watcher in watchers:
            watcher.wake()

    def _watchers_of(self, key: ViewKey, batch: Batch) -> Iterable[Watcher]:
        """Return the clients that see a change in ``batch``; the others have seen it."""
        watchers = self._watchers[key]
        if self._changes(batch, next(iter(watchers))):
            return watchers
        for watcher in watchers:
            if watcher.position == batch.number - 1:
                watcher.position = batch.number
        return ()

    def _forget_old(self) -> None:
        while len(self._batches) > 1 and (len(self._batches) > MAX_BATCHES or self._characters > MAX_CHARACTERS):
            batch = self._batches.popleft()
            self._characters -= batch.characters
            self._complete_since = batch.received_at

    def _all_watchers(self) -> list[Watcher]:
        return [watcher for watchers in self._watchers.values() for watcher in watchers]

    def position(self, seconds: float = 0.0) -> int | None:
        """Return the place of ``seconds`` ago, None if changes are missing since then."""
        moment = self._clock() - seconds
        with self._lock:
            if not self._is_live or moment < self._complete_since:
                return None
            return self._last - sum(batch.received_at > moment for batch in self._batches)

    def add(self, watcher: Watcher) -> None:
        """Wake ``watcher`` from now on, at once if it has missed something already."""
        with self._lock:
            self._watchers.setdefault(watcher.key, set()).add(watcher)
            self._awaited_until = self._clock() + AWAITED_SECONDS
        if self.next_batches(watcher) is None or self.has_changes(watcher):
            watcher.wake()

    def remove(self, watcher: Watcher) -> None:
        """Forget ``watcher``."""
        with self._lock:
            watchers = self._watchers.get(watcher.key, set())
            watchers.discard(watcher)
            if not watchers:
                self._watchers.pop(watcher.key, None)
            self._awaited_until = self._clock() + AWAITED_SECONDS

    def pass_by(self, watcher: Watcher, sequence: int | str) -> None:
        """Let ``watcher`` skip the batches up to ``sequence``, of a database with one copy."""
        for batch in self.next_batches(watcher) or ():
            if number(batch.sequence) > number(sequence):
                return
            watcher.position = batch.number

    def next_batches(self, watcher: Watcher) -> list[Batch] | None:
        """Return the batches that ``watcher`` has not seen, None if it is too late for some."""
        with self._lock:
            first = self._last - len(self._batches)
            if watcher.position < first or not self._is_live:
                return None
            count = self._last - watcher.position
            return [self._batches[-place] for place in range(count, 0, -1)]

    def has_changes(self, watcher: Watcher) -> bool:
        """Return whether ``watcher`` sees a change in a batch that it has not seen."""
        return any(self._changes(batch, watcher) for batch in self.next_batches(watcher) or ())

    def rendered(self, batch: Batch, watcher: Watcher, render: Callable[[Shown], bytes]) -> tuple[bytes, ...]:
        """Return the changes in ``batch`` that ``watcher`` sees; always use the same ``render``."""
        if watcher.key not in batch.rendered:
            batch.rendered[watcher.key] = tuple(map(render, self._changes(batch, watcher)))
        return batch.rendered[watcher.key]

    def _changes(self, batch: Batch, watcher: Watcher) -> tuple[Shown, ...]:
        if watcher.key not in batch.changes:
            changes = (self._change(batch, item, watcher) for item in batch.items)
            batch.changes[watcher.key] = tuple(filter(None, changes))
        return batch.changes[watcher.key]

    def _change(self, batch: Batch, item: StoredItem, watcher: Watcher) -> Shown | None:
        change = visible(self._resource_type, item, watcher.view, batch.time, self._secret, with_value=False)
        if change is None or change.is_deleted or not watcher.with_values:
            return change
        if item.doc_id not in batch.bodies:
            batch.bodies[item.doc_id] = self._resource_type.body(item.fields)
        return replace(change, value=batch.bodies[item.doc_id])


def _portions(
    rows: Sequence[FeedRow], resource_type: ResourceType, end: int | str
) -> Iterable[tuple[list[StoredItem], int | str, int]]:
    """Yield the items of this type in ``rows`` in portions of limited size, each with the place after it."""
    items: list[StoredItem] = []
    characters, sequence = 0, end
    for row in rows:
        size = sum(len(value) for value in row.item.fields.values() if isinstance(value, str))
        if items and characters + size > BATCH_CHARACTERS:
            yield items, sequence, characters
            items, characters = [], 0
        if resource_type.first < row.item.doc_id <= resource_type.last:
            items.append(row.item)
            characters += size
        sequence = row.sequence
    yield items, end, characters

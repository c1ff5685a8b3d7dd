"""Passes the changes of one database on to waiting clients, with one computation for all that see the same changes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock, RLock

from app.domain.changes.bare_tombstones import is_bare
from app.domain.changes.batch import Batch, PerspectiveKey, Point, portions
from app.domain.changes.departures import NewDepartures
from app.domain.changes.watcher import Watcher
from app.domain.resources import ResourceType, now, stamp
from app.errors import Unavailable
from app.store.feed import FeedPart, FeedRow
from app.store.items import StoredItem

# Batches are remembered up to these limits; a client that falls behind reads the feed itself.
MAX_BATCHES, MAX_CHARACTERS = 1000, 8 * 2**20
# Items to complete in one part of the feed. If there are more, clients read the feed themselves.
MAX_INCOMPLETE = 5
# A change is reported at most this long after it was stored, or the feed is lost (app/store/changes.py).
REPORT_DELAY = timedelta(seconds=3)
# A request that was answered later than this has waited for a change, and not for a busy database.
MAX_READ_SECONDS = 60.0
# The feed is read with documents for this time after a client has waited, since most wait again.
AWAITED_SECONDS = 60.0


class Hub:
    """The recent changes of the items of ``resource_type``, as a follower of the database reports them.

    The follower calls ``opened``, ``received``, ``skipped`` and ``lost``. A client joins by ``prime`` and ``position``,
    waits from ``add`` to ``remove``, and takes the ``next_batches``.

    ``secret`` is the key of the tags of removals, ``now`` the time of day, and ``clock`` counts seconds. ``complete``
    completes an item with several live leaves or a bare tombstone, as ConflictMarks and BareTombstones do. Thread-safe.
    """

    def __init__(
        self,
        resource_type: ResourceType,
        secret: str,
        now: Callable[[], datetime] = now,
        clock: Callable[[], float] = time.monotonic,
        complete: Callable[[StoredItem], StoredItem] = lambda item: item,
    ) -> None:
        self._resource_type, self._secret, self._now, self._clock = resource_type, secret, now, clock
        self._complete = complete
        self._lock, self._priming, self._watchers = RLock(), Lock(), dict[PerspectiveKey, set[Watcher]]()
        self._batches, self._characters = deque[Batch](), 0
        # The number of the last batch, and the moment since which no change is missing among the batches.
        self._last, self._complete_since = 0, clock()
        self._is_live, self._is_primed, self._awaited_until = False, False, 0.0
        # How often changes were skipped.
        self._skips = 0
        # The end of the last batch, or an earlier point if that is not known.
        self._next_start = Point(0, self._present())
        self._departures = NewDepartures()

    @property
    def is_awaited(self) -> bool:
        """Whether any client waits, or has waited a moment ago."""
        return bool(self._watchers) or self._clock() < self._awaited_until

    def opened(self, place: int | str) -> None:
        """Note that every change after ``place`` is reported from now on."""
        with self._lock:
            self._is_live, self._complete_since, self._next_start = True, self._clock(), Point(place, self._present())

    def received(self, part: FeedPart, seconds: float = 0.0) -> None:
        """Note changes that the database was asked for ``seconds`` ago, and wake the clients that see any of them.

        A busy database may take long to send the state of that moment.
        """
        present = self._present(seconds)
        try:
            rows = self._completed(part)
        except Unavailable:
            rows = None
        if rows is None:
            self.skipped(part.sequence)
            return
        for items, sequence, characters in portions(rows, self._resource_type, part.sequence):
            time = present if part.is_last and sequence == part.sequence else self._next_start.time
            self._receive(items, Point(sequence, time), characters)

    def _present(self, seconds: float = 0.0) -> str:
        """Return the time before which every change is reported by now, unless the feed is behind."""
        return stamp(self._now() - max(REPORT_DELAY, timedelta(seconds=min(seconds, MAX_READ_SECONDS))))

    def _completed(self, part: FeedPart) -> Sequence[FeedRow] | None:
        """Return the rows with their items completed; None if there are more than MAX_INCOMPLETE."""
        count = sum(bool(row.item.conflicts) or is_bare(row.item) for row in part.rows)
        if count > MAX_INCOMPLETE:
            return None
        return [replace(row, item=self._complete(row.item)) for row in part.rows] if count else part.rows

    def _receive(self, items: Sequence[StoredItem], end: Point, characters: int) -> None:
        with self._lock:
            items = [self._departures.only_new(item) for item in items]
            perspectives = [next(iter(watchers)).perspective for watchers in self._watchers.values()]
        batch = Batch(self._resource_type, self._secret, items, self._next_start, end, self._clock(), characters)
        for perspective in perspectives:
            # Computed outside the lock, since many different limits take long. The batch remembers the changes.
            batch.changes(perspective)
        with self._lock:
            self._next_start = end
            self._last += 1
            batch.number = self._last
            self._batches.append(batch)
            self._characters += characters
            self._forget_old()
            watchers = [watcher for watcher in self._all_watchers() if self._is_to_wake(watcher, batch)]
        for watcher in watchers:
            watcher.wake()

    def _is_to_wake(self, watcher: Watcher, batch: Batch) -> bool:
        """Return whether a client sees a change in the last batch; otherwise let it skip the batch if that is next."""
        # The position is read first, since the client's own thread sets it last.
        if watcher.position == batch.number - 1:
            return self._skip_to_change(watcher, [batch])
        return bool(batch.changes(watcher.perspective))

    def _skip_to_change(self, watcher: Watcher, batches: Iterable[Batch]) -> bool:
        """Let a client skip the next batches up to one with a change that it sees; return whether there is one."""
        for batch in batches:
            if batch.changes(watcher.perspective) and not watcher.has_read(batch):
                return True
            watcher.last_skipped = batch
            watcher.move(batch, is_shown=False)
        return False

    def _forget_old(self) -> None:
        while len(self._batches) > 1 and (len(self._batches) > MAX_BATCHES or self._characters > MAX_CHARACTERS):
            batch = self._batches.popleft()
            self._characters -= batch.characters
            self._complete_since = batch.received_at

    def skipped(self, place: int | str | None = None) -> None:
        """Forget the batches, since changes are missing after them, up to ``place`` if that is known.

        Each client reads the feed itself.
        """
        with self._lock:
            self._next_start = Point(self._next_start.sequence if place is None else place, self._present())
            self._last += 1
            self._batches.clear()
            self._characters, self._complete_since = 0, self._clock()
            self._is_primed, self._skips = False, self._skips + 1
            watchers = self._all_watchers()
        for watcher in watchers:
            watcher.wake()

    def lost(self) -> None:
        """Note that changes may be missed until the feed is opened again."""
        with self._lock:
            self._is_live = False
        self.skipped()

    def _all_watchers(self) -> list[Watcher]:
        return [watcher for watchers in self._watchers.values() for watcher in watchers]

    def prime(self, recent_changes: Callable[[], Iterable[FeedRow]]) -> None:
        """Note the departures in the last changes, so that later revisions do not repeat them to the first client.

        It reads these departures itself. Raises as ``recent_changes`` does; the next client tries again.
        """
        self._awaited_until = self._clock() + AWAITED_SECONDS
        # Other clients join only after that (see ``position``) and then read, so that they read these departures too.
        with self._priming:
            if self._is_primed:
                return
            skips = self._skips
            rows = recent_changes()
            with self._lock:
                for row in rows:
                    self._departures.only_new(row.item)
                # If changes were skipped meanwhile, the next client reads again.
                self._is_primed = self._skips == skips

    def position(self, seconds: float = 0.0) -> int | None:
        """Return the number of the last batch of ``seconds`` ago; None if changes since then are missing.

        A client at the present also has to wait until ``prime`` has noted the departures, and gets None until then.
        """
        moment = self._clock() - seconds
        with self._lock:
            if not self._is_live or not (self._is_primed or seconds) or moment < self._complete_since:
                return None
            return self._last - sum(batch.received_at > moment for batch in self._batches)

    def add(self, watcher: Watcher) -> None:
        """Wake ``watcher`` from now on, at once if it has missed something already."""
        # Outside the lock first, since many batches take long. Then only those that came meanwhile are to be skipped.
        self._skip_to_change(watcher, self.next_batches(watcher) or ())
        with self._lock:
            self._watchers.setdefault(watcher.perspective.key, set()).add(watcher)
            self._awaited_until = self._clock() + AWAITED_SECONDS
            batches = self.next_batches(watcher)
            has_missed = batches is None or self._skip_to_change(watcher, batches)
        if has_missed:
            watcher.wake()

    def remove(self, watcher: Watcher) -> None:
        """Forget ``watcher``."""
        with self._lock:
            watchers = self._watchers.get(watcher.perspective.key, set())
            watchers.discard(watcher)
            if not watchers:
                self._watchers.pop(watcher.perspective.key, None)
            self._awaited_until = self._clock() + AWAITED_SECONDS

    def next_batches(self, watcher: Watcher) -> list[Batch] | None:
        """Return the batches that ``watcher`` has neither taken nor skipped; None if some are missing."""
        with self._lock:
            first = self._last - len(self._batches)
            if watcher.position < first or not self._is_live:
                return None
            count = self._last - watcher.position
            return [self._batches[-place] for place in range(count, 0, -1)]

"""The background job that finds items with several live leaves, in the feed and by a sweep, and has them reduced."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event

from cachetools import LRUCache

from app.domain.conflicts.judgement import Judgement, Reason
from app.domain.conflicts.reducer import ITEMS_PER_READ, Reducer
from app.domain.resources import ResourceType
from app.errors import Unavailable
from app.metrics import CONFLICTS_OPEN, MERGES, Metrics
from app.store import Database
from app.store.leaves import Leaves

# The time between two runs, and between two sweeps.
PAUSE_SECONDS, SWEEP_SECONDS = 1.0, 60.0
# A sweep whose index does not answer in this time is left to the next one.
INDEX_SECONDS = 5.0
# Changes that one request reads.
CHANGES_PER_READ = 1000
# Items that are tried again at each run; the sweep takes the others.
MAX_PENDING = 1000
# Items that were judged, whose judgement stands until one of their leaves changes.
MAX_JUDGED = 10_000
# A judgement for these reasons depends on nothing but the leaves and their ancestry.
FINAL_REASONS = frozenset({Reason.CLASH, Reason.LOOP})


@dataclass
class _Progress:
    """The work on the items of one type: the place in their feed, and the items that are to be judged again.

    ``start`` is the `_id` where the sweep goes on, None between two sweeps. ``counts`` are those of the present sweep,
    and ``open`` those of the last one.
    """

    place: object
    start: str | None
    pending: set[str] = field(default_factory=set)
    swept_at: float = 0.0
    counts: Counter[Reason] = field(default_factory=Counter)
    open: Counter[Reason] = field(default_factory=Counter)


class Resolver:
    """A background job; it is right with several runners. ``databases`` have the views. ``clock`` counts seconds."""

    name = "resolver"

    def __init__(
        self,
        reducer: Reducer,
        leaves: Mapping[ResourceType, Leaves],
        databases: Mapping[ResourceType, Database],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reducer, self._leaves, self._databases = reducer, leaves, databases
        self._metrics, self._clock = metrics, clock
        self._judged: LRUCache[str, tuple[frozenset[str], Reason]] = LRUCache(MAX_JUDGED)
        self._progress: dict[ResourceType, _Progress] = {}
        for result in ("merged", "reduced", "failed", *Reason):
            metrics.count(MERGES, result, times=0)

    def run(self, ending: Event) -> float:
        """Judge the items that have changed, and a part of the sweep; return the seconds until the next run.

        Raises Unavailable.
        """
        is_complete = True
        for resource_type in self._leaves:
            for step in (self._follow, self._sweep):
                if ending.is_set():
                    return PAUSE_SECONDS
                is_complete &= step(resource_type)
        self._report()
        return PAUSE_SECONDS if is_complete else 0.0

    def stand_by(self) -> None:
        """Forget the progress, since another process runs the job."""
        self._progress.clear()
        self._report()

    def _started(self, resource_type: ResourceType) -> _Progress:
        """Return the progress. The first sweep begins after the place in the feed was noted, so nothing is missed."""
        if resource_type not in self._progress:
            place = self._leaves[resource_type].sequence()
            self._progress[resource_type] = _Progress(place, resource_type.first)
        return self._progress[resource_type]

    def _follow(self, resource_type: ResourceType) -> bool:
        """Judge the items in a part of the feed and the pending ones; return whether the feed ends there."""
        progress = self._started(resource_type)
        doc_ids, place, is_last = self._leaves[resource_type].branched_since(progress.place, limit=CHANGES_PER_READ)
        items = {each for each in doc_ids if each.startswith(f"{resource_type.name}:")} | progress.pending
        self._reduce(resource_type, sorted(items), progress)
        progress.place = place
        return is_last

    def _sweep(self, resource_type: ResourceType) -> bool:
        """Judge the next items of the sweep; return whether there are no more."""
        progress = self._started(resource_type)
        if progress.start is None and self._clock() - progress.swept_at < SWEEP_SECONDS:
            return True
        start = progress.start or resource_type.first
        try:
            rows = self._databases[resource_type].view(
                "conflicts",
                "open",
                startkey=start,
                endkey=resource_type.last,
                limit=ITEMS_PER_READ,
                seconds=INDEX_SECONDS,
            )
        except Unavailable:
            progress.start, progress.swept_at = None, self._clock()
            return True
        judged = {row.id: self._known_reason(row.id, {row.value["rev"], *row.value["conflicts"]}) for row in rows}
        progress.counts.update(reason for reason in judged.values() if reason)
        unjudged = [doc_id for doc_id, reason in judged.items() if reason is None]
        progress.counts.update(self._reduce(resource_type, unjudged, progress))
        is_last = len(rows) < ITEMS_PER_READ
        progress.start = None if is_last else f"{rows[-1].id}0"
        if is_last:
            progress.swept_at, progress.open, progress.counts = self._clock(), progress.counts, Counter()
        return is_last

    def _reduce(self, resource_type: ResourceType, doc_ids: list[str], progress: _Progress) -> list[Reason]:
        """Reduce the leaves of items, note those that are pending, and return the reasons of the others."""
        progress.pending.difference_update(doc_ids)
        reasons = []
        for doc_id, judgement in self._reducer.reduce_each(resource_type, doc_ids):
            if judgement and judgement.reason:
                self._note(doc_id, judgement, judgement.reason)
                reasons.append(judgement.reason)
            elif len(progress.pending) < MAX_PENDING:
                progress.pending.add(doc_id)
        return reasons

    def _note(self, doc_id: str, judgement: Judgement, reason: Reason) -> None:
        """Count a new judgement, and remember it."""
        if self._judged.get(doc_id) != (frozenset(judgement.revisions), reason):
            self._metrics.count(MERGES, reason)
        self._judged[doc_id] = frozenset(judgement.revisions), reason

    def _known_reason(self, doc_id: str, revisions: set[str]) -> Reason | None:
        """Return why an item with these live leaves was not merged, None if it is to be judged."""
        judged, reason = self._judged.get(doc_id, (frozenset(), None))
        return reason if judged == revisions and reason in FINAL_REASONS else None

    def _report(self) -> None:
        counts = sum((progress.open for progress in self._progress.values()), Counter[Reason]())
        for reason in Reason:
            self._metrics.set(CONFLICTS_OPEN, reason, value=counts[reason])

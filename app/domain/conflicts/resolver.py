"""The background job that reduces the leaves of items, for a limited time in each run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from threading import Event

from cachetools import LRUCache

from app.domain.conflicts.backlog import Backlog, Judged
from app.domain.conflicts.judgement import Reason
from app.domain.conflicts.reducer import Reducer
from app.domain.resources import ResourceType
from app.metric_definitions import CONFLICTS_OPEN, MERGES
from app.metrics import Metrics
from app.store import Database
from app.store.leaves import Leaves

# The time between two runs, and the time after which a run leaves the rest to the next one.
PAUSE_SECONDS, MAX_RUN_SECONDS = 1.0, 1.0
# Items whose judgement is remembered.
MAX_JUDGED = 10_000


class Resolver:
    """A background job; several runners do no harm. ``databases`` have the views. ``clock`` counts seconds."""

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
        self._backlogs: dict[ResourceType, Backlog] = {}
        self._judged: Judged = LRUCache(MAX_JUDGED)
        for result in ("merged", "reduced", "failed", *Reason):
            metrics.count(MERGES, result, times=0)

    def run(self, ending: Event) -> float:
        """Judge the next items of all types; return the seconds until the next run. Raises Unavailable."""
        end, has_more = self._clock() + MAX_RUN_SECONDS, False
        for resource_type in self._leaves:
            backlog = self._backlog(resource_type)
            while backlog.fill():
                if ending.is_set() or self._clock() >= end:
                    has_more = True
                    break
                self._reduce(resource_type, backlog)
        self._report()
        return 0.0 if has_more else PAUSE_SECONDS

    def stand_by(self) -> None:
        """Forget the progress, since another process runs the job."""
        self._backlogs.clear()
        self._report()

    def _backlog(self, resource_type: ResourceType) -> Backlog:
        if resource_type not in self._backlogs:
            leaves, database = self._leaves[resource_type], self._databases[resource_type]
            self._backlogs[resource_type] = Backlog(resource_type, leaves, database, self._judged, self._clock)
        return self._backlogs[resource_type]

    def _reduce(self, resource_type: ResourceType, backlog: Backlog) -> None:
        doc_ids = backlog.take()
        for doc_id, judgement in self._reducer.reduce_each(resource_type, doc_ids):
            if backlog.note(doc_id, judgement) and judgement and judgement.reason:
                self._metrics.count(MERGES, judgement.reason)
        backlog.drop(doc_ids)

    def _report(self) -> None:
        counts = sum((backlog.open for backlog in self._backlogs.values()), Counter[Reason]())
        for reason in Reason:
            self._metrics.set(CONFLICTS_OPEN, reason, value=counts[reason])

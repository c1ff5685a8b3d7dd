"""Deletes the versions that are past their retention: a sweep through `-history`, a small part at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from threading import Event

from app.domain.resources import DOCUMENT, PROJECT, stamp
from app.metric_definitions import HISTORY_DELETED
from app.metrics import Metrics
from app.retention import Retention
from app.store import Revision, Store
from app.store.superseded import due_versions, may_be_due
from app.store.version import item_of

# The range of the versions' `_id`s.
FIRST, LAST = "version:", "version;"
# Documents that one run checks. An item that has more of them is checked by itself.
IDS_PER_RUN = 500
# The pause between two runs is PAUSE_FACTOR times as long as a run, and at least PAUSE_SECONDS.
PAUSE_SECONDS, PAUSE_FACTOR = 10.0, 20.0
# A sweep begins at least this long after the one before it, and this long if nothing was written since.
SWEEP_SECONDS, IDLE_SWEEP_SECONDS = 60.0, 3600.0


class Sweep:
    """The job that deletes. Another process may delete the same versions at the same time."""

    name = "retention"

    def __init__(
        self,
        store: Store,
        retention: Retention,
        metrics: Metrics,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._history, self._versions = store["history"], store.versions
        self._leaves = {each.name: store.leaves(each.database) for each in (DOCUMENT, PROJECT)}
        self._retention, self._metrics, self._now, self._clock = retention, metrics, now, clock
        # The sweep goes on at this `_id`; it is empty between two sweeps.
        self._place = ""
        self._started_at = float("-inf")
        self._sequence: object = None
        metrics.count(HISTORY_DELETED, times=0)

    def run(self, _: Event) -> float:
        """Check the next versions, and delete those that are due; return the seconds until the next run."""
        started_at = self._clock()
        if not self._place and not self._begin():
            return SWEEP_SECONDS
        rows = self._history.ids(self._place, LAST, limit=IDS_PER_RUN)
        items = {doc_id: list(group) for doc_id, group in groupby(rows, key=lambda row: item_of(row.id))}
        place = ""
        if len(rows) == IDS_PER_RUN:
            # The versions of the last item go on after these.
            doc_id, last = items.popitem()
            place = last[0].id
            if not items:
                items, place = {doc_id: self._newest(doc_id)}, f"version:{doc_id};"
        self._delete_due(items)
        self._place = place
        return max(PAUSE_SECONDS, PAUSE_FACTOR * (self._clock() - started_at))

    def stand_by(self) -> None:
        """Note that another process sweeps."""
        self._place = ""

    def _begin(self) -> bool:
        """Begin a sweep if it is time; return whether it is."""
        seconds = self._clock() - self._started_at
        if seconds < SWEEP_SECONDS:
            return False
        sequence = self._history.sequence()
        if sequence == self._sequence and seconds < IDLE_SWEEP_SECONDS:
            return False
        self._place, self._sequence, self._started_at = FIRST, sequence, self._clock()
        return True

    def _newest(self, doc_id: str) -> list[Revision]:
        """Return the newest documents of an item that has very many, and delete some of the older ones."""
        first, last = f"version:{doc_id}:", f"version:{doc_id};"
        # Each version may be there as lost, too.
        count = 2 * self._retention.versions + IDS_PER_RUN
        newest = self._history.ids(last, first, limit=count, descending=True)
        if len(newest) == count and len(self._live([doc_id])[doc_id]) < 2:
            older = self._history.ids(first, newest[-1].id, limit=IDS_PER_RUN)
            self._delete([row for row in older if row.id != newest[-1].id])
        return newest

    def _delete_due(self, items: Mapping[str, Sequence[Revision]]) -> None:
        forgotten = self._versions.forgotten(items)
        due = {doc_id: rows for doc_id, rows in items.items() if doc_id in forgotten}
        not_before = stamp(self._now() - self._retention.age)
        several = {doc_id: rows for doc_id, rows in items.items() if len(rows) > 1 and doc_id not in forgotten}
        outlines = self._versions.outlines([row.id for rows in several.values() for row in rows])
        versions = {
            doc_id: [outlines[row.id] for row in rows if row.id in outlines] for doc_id, rows in several.items()
        }
        limit = self._retention.versions
        live = self._live([each for each, own in versions.items() if may_be_due(own, limit, not_before)])
        for doc_id, revisions in live.items():
            gone = {each.stored_id for each in due_versions(versions[doc_id], revisions, limit, not_before)}
            due[doc_id] = [row for row in items[doc_id] if row.id in gone]
        self._delete([row for rows in due.values() for row in rows])

    def _delete(self, rows: Sequence[Revision]) -> None:
        self._metrics.count(HISTORY_DELETED, times=self._versions.delete(rows))

    def _live(self, doc_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return the live leaves of items: history may not have all of them yet, and those of a deleted item are none.

        Several of them are an open conflict.
        """
        live: dict[str, tuple[str, ...]] = dict.fromkeys(doc_ids, ())
        for name, leaves in self._leaves.items():
            live |= leaves.revisions([doc_id for doc_id in doc_ids if doc_id.startswith(f"{name}:")])
        return live

"""Captures the versions of one type of items: reads changed leaves and the revisions below, writes their versions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cachetools import LRUCache

from app.domain.resources import ResourceType, stamp
from app.errors import Unavailable
from app.metric_definitions import HISTORY_LOST, HISTORY_VERSIONS
from app.metrics import Metrics
from app.retention import Retention
from app.store import Store
from app.store.descent import Descent, is_old_tombstone, superseded_revisions
from app.store.feed import ChangedLeaves
from app.store.revision_reader import RevisionReader
from app.store.version import Version

log = logging.getLogger("dreamscript.history")

# Changed items in one step.
ITEMS_PER_STEP = 200
# Items whose captured leaves are remembered.
REMEMBERED_ITEMS = 20_000
# Versions that were superseded earlier than this before the first capture are not looked for: the history begins there.
BEFORE_FIRST_CAPTURE = timedelta(hours=1)


class _Step(NamedTuple):
    """A revision below a leaf. ``is_new``: no revision between the two was captured."""

    descent: Descent
    revision: str
    is_new: bool

    @property
    def revision_id(self) -> tuple[str, str]:
        return self.descent.doc_id, self.revision


class Source:
    """The items of one type, and how far they are captured. All of it raises Unavailable."""

    def __init__(
        self,
        store: Store,
        resource_type: ResourceType,
        retention: Retention,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        name = resource_type.database
        self._type, self._retention, self._metrics, self._now = resource_type, retention, metrics, now
        self._database, self._feed, self._reader = store[name], store.feed(name), RevisionReader(store.leaves(name))
        self._versions, self._checkpoint = store.versions, store.checkpoint("history", f"capture-{name}")
        # The leaves of items that are captured, with everything below them.
        self._captured: LRUCache[str, frozenset[str]] = LRUCache(REMEMBERED_ITEMS)
        self._place: dict[str, object] | None = None
        # A capture that was cut off may have written some of the versions after its place, and not those below them.
        self._is_resuming = True
        self._seen_sequence: object = None
        for counter in (HISTORY_VERSIONS, HISTORY_LOST):
            metrics.count(counter, name, times=0)

    def reset(self) -> None:
        """Forget the place and the captured leaves: another process goes on from here."""
        self._place, self._is_resuming = None, True
        self._captured.clear()

    def advance(self) -> bool:
        """Capture the next changed items; return whether these were the last ones."""
        place = self._place or self._open()
        sequence = place["sequence"]
        assert isinstance(sequence, int | str)
        part = self._feed.read_leaves(sequence, limit=ITEMS_PER_STEP)
        self._capture(part.items, str(place["since"]))
        if part.sequence != sequence:
            place = {**place, "sequence": part.sequence}
            self._checkpoint.write(place)
        self._place, self._is_resuming = place, False
        return part.is_last

    def is_written_to(self) -> bool:
        """Return whether the database has changed since the last call."""
        former, self._seen_sequence = self._seen_sequence, self._database.sequence()
        return former != self._seen_sequence

    def _open(self) -> dict[str, object]:
        """Return the stored place, or the beginning of the feed if there is none or if it is of another database."""
        self.reset()
        identity, place = self._feed.identity(), self._checkpoint.read()
        if identity is None:
            raise Unavailable
        if place and place["identity"] == identity:
            return place
        since = place["since"] if place else stamp(self._now() - BEFORE_FIRST_CAPTURE)
        log.info("capturing the current versions of all %s", self._type.database)
        return {"identity": identity, "sequence": 0, "since": since}

    def _capture(self, items: Sequence[ChangedLeaves], since: str) -> None:
        """Write the versions of these items, except those that exist already and those that are due for deletion."""
        not_before = max(since, stamp(self._now() - self._retention.age))
        branched = {item.doc_id for item in items if len(item.revisions) > 1}
        new = [
            (item.doc_id, revision)
            for item in items
            for revision in item.revisions
            if revision not in self._captured.get(item.doc_id, ())
        ]
        deleted: set[str] = set()
        for _, leaves in self._reader.read(new, with_lineage=True):
            descents = [
                Descent(self._type.members, leaf, "" if leaf.item.doc_id in branched else not_before)
                for leaf in leaves
                if leaf.item.doc_id not in branched or not is_old_tombstone(leaf.item, not_before)
            ]
            self._write(descents)
            deleted |= {leaf.item.doc_id for leaf in leaves if leaf.item.is_deleted}
        for item in items:
            if item.doc_id in deleted:
                # The item may be forgotten later, so look up its versions again at its next change.
                self._captured.pop(item.doc_id, None)
            else:
                self._captured[item.doc_id] = frozenset(item.revisions)

    def _write(self, descents: Sequence[Descent]) -> None:
        """Write the versions of leaves, and the missing ones of the revisions below them."""
        versions = [descent.start for descent in descents]
        certain = {descent.doc_id for descent in descents if self._is_certain(descent)}
        steps = self._steps(descents)
        for part, leaves in self._reader.read([step.revision_id for step in steps]):
            bodies = {(leaf.item.doc_id, leaf.revision): leaf.item for leaf in leaves}
            for step in steps[: len(part)]:
                version = step.descent.step(step.revision, bodies.get(step.revision_id))
                if version and (step.is_new or not version.is_lost):
                    versions.append(version)
            steps = steps[len(part) :]
            self._store(versions, certain)
            versions = []
        self._store(versions, certain)

    def _steps(self, descents: Sequence[Descent]) -> list[_Step]:
        """Return the revisions below leaves that may have to be captured, newest first."""
        below = [(descent, self._below(descent)) for descent in descents]
        unsure = [
            (descent.doc_id, revision)
            for descent, revisions in below
            if descent.is_branch or descent.doc_id not in self._captured
            for revision in revisions
        ]
        present = set(unsure).difference(self._versions.missing(unsure))
        steps: list[_Step] = []
        for descent, revisions in below:
            is_new = True
            for revision in revisions:
                is_present = (descent.doc_id, revision) in present
                is_new = is_new and not is_present
                # The resolver writes the versions of leaves, and of those below them not the lost ones.
                if not is_new and not (self._is_resuming or descent.is_branch):
                    break
                if not is_present:
                    steps.append(_Step(descent, revision, is_new))
        return steps

    def _below(self, descent: Descent) -> list[str]:
        captured = self._captured.get(descent.doc_id, frozenset())
        # The versions below an old leaf are older still, unless it was made in Fauxton.
        if descent.is_old and not captured:
            return []
        return superseded_revisions(descent.leaf, captured, self._retention.versions)

    def _is_certain(self, descent: Descent) -> bool:
        """Return whether the missing versions of an item cannot have been written, and deleted again, before."""
        is_known = descent.doc_id in self._captured or descent.leaf.item.generation == 1
        return is_known and not (descent.is_branch or descent.leaf.item.is_deleted or self._is_resuming)

    def _store(self, versions: Sequence[Version], certain: Collection[str]) -> None:
        new = self._versions.write(versions, certain)
        self._metrics.count(HISTORY_VERSIONS, self._type.database, times=len(new))
        self._metrics.count(HISTORY_LOST, self._type.database, times=sum(version.is_lost for version in new))

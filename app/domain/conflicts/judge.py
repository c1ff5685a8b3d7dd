"""Judges items by their live leaves and their ancestry, for the resolver, for reads and for writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Lock

from cachetools import LRUCache

from app.domain.conflicts.item_ancestry import ItemAncestry
from app.domain.conflicts.judgement import Judgement, JudgementRules, Reason, Writes
from app.domain.resources import ResourceType
from app.store.leaves import Leaves
from app.store.versions import VersionStore

# A revision that is not known here may arrive by replication during this time.
ARRIVAL_SECONDS = 60.0
# Revisions that are remembered as missing.
MAX_MISSING = 10_000


class Judge:
    """Judges the items in the databases of ``leaves``. All of it raises Unavailable.

    ``project_exists`` looks for a project in this region. ``clock`` counts seconds.
    """

    def __init__(
        self,
        leaves: Mapping[ResourceType, Leaves],
        versions: VersionStore,
        project_exists: Callable[[int], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leaves, self._versions, self._project_exists = leaves, versions, project_exists
        self._arrivals = Arrivals(clock)

    def judge_many(self, resource_type: ResourceType, doc_ids: Sequence[str]) -> dict[str, Judgement]:
        """Return the judgements of the existing items by `_id`."""
        live = self._leaves[resource_type].revisions(doc_ids)
        judgements = {doc_id: self.judge(resource_type, doc_id, revisions) for doc_id, revisions in live.items()}
        return {doc_id: judgement for doc_id, judgement in judgements.items() if judgement}

    def judge(self, resource_type: ResourceType, doc_id: str, revisions: tuple[str, ...]) -> Judgement | None:
        """Return the judgement of an item with these live leaves, None if they do not exist any more."""
        store = self._leaves[resource_type]
        leaves = store.read_revisions(doc_id, revisions)
        if not leaves:
            return None
        if len(revisions) == 1:
            return Judgement(revisions, leaves, leaves)

        def may_arrive(revision: str) -> bool:
            return self._arrivals.is_expected(doc_id, revision)

        ancestry = ItemAncestry(leaves, resource_type.members, store, self._versions)
        judgement = JudgementRules(resource_type, self._project_exists).judge(revisions, leaves, ancestry, may_arrive)
        unseen = ancestry.unseen_merge() if judgement.reason is not Reason.LOOP else None
        if unseen and may_arrive(unseen):
            return replace(judgement, reason=None, base=None, merge=None, writes=Writes())
        return judgement


class Arrivals:
    """Remembers since when revisions are missing. It is lost when the process ends; they are then expected again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._lock = clock, Lock()
        self._missing_since: LRUCache[tuple[str, str], float] = LRUCache(MAX_MISSING)

    def is_expected(self, doc_id: str, revision: str) -> bool:
        """Return whether a missing revision may still arrive. The first call for it starts the time."""
        now = self._clock()
        with self._lock:
            return now - self._missing_since.setdefault((doc_id, revision), now) < ARRIVAL_SECONDS

"""Judges items by their live leaves and their ancestry, for the resolver, for reads and for writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from app.domain.conflicts.arrivals import Arrivals
from app.domain.conflicts.item_ancestry import ItemAncestry
from app.domain.conflicts.judgement import Judgement, JudgementRules, Reason, Writes
from app.domain.resources import ResourceType
from app.store.leaves import Leaves
from app.store.versions import VersionStore


class Judge:
    """Judges the items in the databases of ``leaves``. All of it raises Unavailable.

    ``project_exists`` looks for a project in this region.
    """

    def __init__(
        self,
        leaves: Mapping[ResourceType, Leaves],
        versions: VersionStore,
        project_exists: Callable[[int], bool],
        arrivals: Arrivals,
    ) -> None:
        self._leaves, self._versions, self._project_exists = leaves, versions, project_exists
        self._arrivals = arrivals

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

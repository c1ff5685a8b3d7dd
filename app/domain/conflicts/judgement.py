"""The judgement of an item's leaves: how they are merged, or why they are not (docs/decisions/conflicts.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from app.domain.conflicts.ancestry import Ancestry, Unknown, contained, merges_in_a_row, nearest_common
from app.domain.conflicts.folding import Folding, NoBase, TooManyMerges
from app.domain.conflicts.revisions import merge, tombstone
from app.domain.merging.item_merge import LINE_MEMBERS, ItemMerge
from app.domain.merging.text_merge import Clash
from app.domain.resources import ResourceType
from app.store.items import Fields, ItemWrite
from app.store.leaves import Leaf

# Merges that may follow each other without an edit between them.
MAX_MERGES_IN_A_ROW = 10
# CouchDB refuses documents above 8,000,000 bytes.
MAX_MEMBERS_BYTES = 7_500_000


class Reason(StrEnum):
    """Why an item's versions are not merged; the API and the metrics use these words."""

    # Both changed the same lines or members.
    CLASH = "clash"
    # The version that both started from is not known.
    NO_BASE = "no_base"
    # The project of the merge does not exist here.
    ORPHAN = "orphan"
    # There are more leaves, or more merges of merges, than edits can explain.
    LOOP = "loop"


@dataclass(frozen=True)
class Base:
    """The stored version that all of the versions descend from, with its public members."""

    revision: str
    members: Fields


@dataclass(frozen=True)
class Writes:
    """The revisions to store: the merge on top of the winner, and once it is stored, tombstones on the others."""

    merge: ItemWrite | None = None
    tombstones: tuple[ItemWrite, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.merge or self.tombstones)


@dataclass(frozen=True)
class Judgement:
    """The live ``leaves`` of one item, CouchDB's winner first, and how they are reduced to one.

    ``revisions`` are those of all live leaves, and ``leaves`` the first MAX_LEAVES of them. ``versions`` are those
    leaves that are neither part of another nor equal to an earlier one; the hunks of ``merge`` are in their order.
    ``base`` is None if it is not one stored version, and ``merge`` if there is no base at all.
    """

    revisions: tuple[str, ...]
    leaves: tuple[Leaf, ...]
    versions: tuple[Leaf, ...]
    reason: Reason | None = None
    base: Base | None = None
    merge: ItemMerge | None = None
    writes: Writes = Writes()

    @property
    def is_pending(self) -> bool:
        """Whether there are several leaves that the resolver will reduce, or cannot judge yet."""
        return self.reason is None and len(self.revisions) > 1


@dataclass(frozen=True)
class JudgementRules:
    """The rules of one resource type. ``project_exists`` looks in this region."""

    resource_type: ResourceType
    project_exists: Callable[[int], bool]

    def judge(
        self,
        revisions: Sequence[str],
        leaves: Sequence[Leaf],
        ancestry: Ancestry,
        may_arrive: Callable[[str], bool] = lambda _: False,
    ) -> Judgement:
        """Judge the live leaves of an item, the winner first; there are too many if ``leaves`` has only some of them.

        ``may_arrive`` returns whether a revision that is unknown here should be waited for; the judgement is pending
        until then.
        """
        outdated = contained([leaf.revision for leaf in leaves], ancestry)
        versions = self._distinct([leaf for leaf in leaves if leaf.revision not in outdated])
        judgement = Judgement(tuple(revisions), tuple(leaves), versions)
        if len(revisions) > len(leaves):
            return replace(judgement, reason=Reason.LOOP)
        others = tuple(tombstone(self.resource_type, leaf) for leaf in leaves if leaf not in versions)
        judgement = replace(judgement, writes=Writes(None, others))
        if len(versions) < 2:
            return judgement
        try:
            return self._merged(judgement, ancestry)
        except NoBase:
            return replace(judgement, reason=Reason.NO_BASE)
        except TooManyMerges:
            return replace(judgement, reason=Reason.LOOP)
        except Unknown as unknown:
            return judgement if may_arrive(unknown.revision) else replace(judgement, reason=Reason.NO_BASE)

    def _distinct(self, leaves: Sequence[Leaf]) -> tuple[Leaf, ...]:
        """Return the leaves with different public members, of equal ones the first."""
        distinct: dict[str, Leaf] = {}
        for leaf in leaves:
            distinct.setdefault(json.dumps(self.resource_type.public(leaf.item.fields)), leaf)
        return tuple(distinct.values())

    def _merged(self, judgement: Judgement, ancestry: Ancestry) -> Judgement:
        """Judge versions that have to be merged. Raises NoBase, TooManyMerges and Unknown."""
        versions = [leaf.revision for leaf in judgement.versions]
        nearest = nearest_common([[revision] for revision in versions], ancestry)
        folding = Folding(self.resource_type.members, ancestry)
        base = Base(nearest[0], ancestry.members(nearest[0])) if len(nearest) == 1 else None
        judgement = replace(judgement, base=base)
        if self._is_loop(versions, ancestry):
            return replace(judgement, reason=Reason.LOOP, merge=folding.join_all(versions))
        fold = folding.fold(versions, until_clash=True)
        members, clashing = fold.value, _clashing(fold)
        if members is None or clashing:
            return replace(judgement, reason=Reason.CLASH, merge=folding.join_all(versions, clashing))
        judgement = replace(judgement, merge=fold)
        if "project_id" in members and not self.project_exists(members["project_id"]):
            return replace(judgement, reason=Reason.ORPHAN)
        return replace(judgement, writes=self._writes(judgement, members))

    def _writes(self, judgement: Judgement, members: Fields) -> Writes:
        """Return the merge of all versions, and tombstones for the leaves that it does not replace."""
        others = (leaf for leaf in judgement.leaves if leaf is not judgement.versions[0])
        tombstones = tuple(tombstone(self.resource_type, leaf) for leaf in others)
        return Writes(merge(self.resource_type, judgement.versions, members), tombstones)

    @staticmethod
    def _is_loop(revisions: Sequence[str], ancestry: Ancestry) -> bool:
        limit = MAX_MERGES_IN_A_ROW + 1
        return any(merges_in_a_row(revision, ancestry, limit) == limit for revision in revisions)


def _clashing(fold: ItemMerge) -> set[str]:
    """Return the members that cannot be merged: those that clash, or the texts if the merge would be too large."""
    clashing = {name for name, outcome in fold.members.items() if isinstance(outcome, Clash)}
    is_large = not clashing and len(json.dumps(fold.value)) > MAX_MEMBERS_BYTES
    return LINE_MEMBERS.intersection(fold.members) if is_large else clashing

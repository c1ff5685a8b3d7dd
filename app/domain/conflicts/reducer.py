"""Carries out judgements: stores merges and tombstones, so that one live leaf of an item stays."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from app.domain.conflicts.judge import Judge
from app.domain.conflicts.judgement import Judgement
from app.domain.resources import ResourceType
from app.errors import ServiceError
from app.metric_definitions import MERGES
from app.metrics import Metrics
from app.store.items import ItemWrite
from app.store.leaves import Leaf, Leaves
from app.store.uncaptured import read_uncaptured
from app.store.versions import Version, VersionStore

log = logging.getLogger("dreamscript.resolver")

# Stores the versions of leaves in the history, unless it has them.
SaveVersions = Callable[[Sequence[Leaf]], None]


def version_saver(versions: VersionStore | None, databases: Mapping[ResourceType, Leaves]) -> SaveVersions:
    """Return the function that stores the versions of leaves in these databases in the history, if there is one.

    It also stores those below them that the capture has not reached: a reader takes everything below a version in the
    history for captured.
    """
    types = {each.name: each for each in databases}

    def save_versions(leaves: Sequence[Leaf]) -> None:
        if versions and leaves:
            resource_type = types[leaves[0].item.doc_id.partition(":")[0]]
            below = read_uncaptured(databases[resource_type], versions, leaves)
            versions.write([Version.of_leaf(leaf, resource_type.members) for leaf in (*leaves, *below)])

    return save_versions


class Reducer:
    """Reduces the leaves of items to one. Several processes may reduce one item: they store the same revisions."""

    def __init__(
        self, judge: Judge, leaves: Mapping[ResourceType, Leaves], save_versions: SaveVersions, metrics: Metrics
    ) -> None:
        self._judge, self._leaves, self._save_versions, self._metrics = judge, leaves, save_versions, metrics

    def reduce_each(
        self, resource_type: ResourceType, doc_ids: Sequence[str]
    ) -> Iterator[tuple[str, Judgement | None]]:
        """Judge the items that have several live leaves, and carry it out; yield each judgement, None if that failed.

        Raises Unavailable if the leaves cannot be looked up.
        """
        for doc_id, revisions in self._leaves[resource_type].revisions(doc_ids).items():
            if len(revisions) > 1:
                yield doc_id, self._reduce(resource_type, doc_id, revisions)

    def _reduce(self, resource_type: ResourceType, doc_id: str, revisions: tuple[str, ...]) -> Judgement | None:
        try:
            judgement = self._judge.judge(resource_type, doc_id, revisions)
            if judgement and judgement.writes:
                self._carry_out(self._leaves[resource_type], judgement)
        except ServiceError:
            # The store has logged it.
            judgement = None
        except Exception:
            log.exception("%s could not be judged", doc_id)
            judgement = None
        if judgement is None:
            self._metrics.count(MERGES, "failed")
        return judgement

    def _carry_out(self, leaves: Leaves, judgement: Judgement) -> None:
        """Store the merge, and the tombstones only if it is stored.

        If this ends in between, the next run stores the tombstones.
        """
        self._save_versions(judgement.leaves)
        merge, tombstones = judgement.writes.merge, judgement.writes.tombstones
        if merge:
            leaves.store([merge])
            stored = self._find(leaves, merge, judgement.revisions)
            if stored is None:
                # Another write came first. The next run judges the leaves that exist then.
                return
            self._save_versions([stored])
        leaves.store(tombstones)
        self._metrics.count(MERGES, "merged" if merge else "reduced")

    @staticmethod
    def _find(leaves: Leaves, write: ItemWrite, known: Sequence[str]) -> Leaf | None:
        """Return the leaf that ``write`` stored, None if it is not a leaf; the answer to a write does not show that."""
        live = leaves.revisions([write.doc_id]).get(write.doc_id, ())
        new = leaves.read_revisions(write.doc_id, [revision for revision in live if revision not in known])
        return next((leaf for leaf in new if leaf.item.is_by(write.write_id)), None)

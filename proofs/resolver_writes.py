"""Counts the revisions that resolvers of several regions store, and the sets of leaves that they had to reduce."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

from app.domain.conflicts.judge import Judge
from app.domain.conflicts.judgement import Judgement
from app.domain.conflicts.revisions import MERGED_BY
from app.domain.resources import DOCUMENT, ResourceType
from app.store.versions import Version, VersionStore
from tests.domain.conflicts.database_region import DatabaseRegion

VERSIONS_PER_PAGE = 1000


class ResolverWrites:
    """The sets of live leaves that were judged, to compare with the revisions that were stored for them."""

    def __init__(self) -> None:
        self.needed: set[tuple[str, frozenset[str]]] = set()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the sets of leaves that are judged during the context."""
        judge = Judge.judge

        def record(
            self_: Judge, resource_type: ResourceType, doc_id: str, revisions: tuple[str, ...]
        ) -> Judgement | None:
            if len(revisions) > 1:
                self.needed.add((doc_id, frozenset(revisions)))
            return judge(self_, resource_type, doc_id, revisions)

        with patch.object(Judge, "judge", record):
            yield

    def check(self, regions: Sequence[DatabaseRegion], public_ids: Sequence[int]) -> int:
        """Check that regions which are alike have no two merges of the same leaves, and no two tombstones of a leaf.

        Return the number of merges. There is at most one for each set of leaves.
        """
        merges = 0
        for public_id in public_ids:
            versions = every_version(regions[0].services.store.versions, DOCUMENT.doc_id(public_id))
            merged = [
                frozenset(each.parents) for each in versions if each.updated_by == MERGED_BY and not each.is_deleted
            ]
            assert len(set(merged)) == len(merged)
            merges += len(merged)
            leaves = {leaf.revision: leaf for region in regions for leaf in region.every_leaf(public_id).values()}
            tombstones = [
                leaf for leaf in leaves.values() if leaf.item.is_deleted and leaf.item.updated_by == MERGED_BY
            ]
            assert len({leaf.lineage[1] for leaf in tombstones}) == len(tombstones)
        assert merges <= len(self.needed)
        return merges


def every_version(store: VersionStore, doc_id: str) -> list[Version]:
    """Return all versions of an item, newest first."""
    versions: list[Version] = []
    before, is_last = None, False
    while not is_last:
        page = store.page(doc_id, before, VERSIONS_PER_PAGE)
        versions += page.versions
        before, is_last = versions[-1].revision, page.is_last
    return versions

"""The ancestry of an item's live leaves, read as far as needed: from the history, else from the revision tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

from app.domain.conflicts.ancestry import Node, Unknown
from app.domain.conflicts.revisions import MERGED_BY
from app.store.items import MERGED_FROM, Fields
from app.store.leaves import Leaf, Leaves
from app.store.versions import Version, VersionStore

# Ancestors that are read at once; each version has up to 8 MB.
NODES_PER_READ = 10


class ItemAncestry:
    """The revisions of an item, as Ancestry describes them. All of it raises Unavailable.

    A revision whose body neither the history nor CouchDB has is presumed to be an edit of the one below it in the tree.
    """

    def __init__(self, leaves: Sequence[Leaf], names: Sequence[str], store: Leaves, versions: VersionStore) -> None:
        self._doc_id, self._names = leaves[0].item.doc_id, names
        self._store, self._versions = store, versions
        # The revision below each one in the tree.
        self._below: dict[str, str] = {}
        self._nodes: dict[str, Node] = {}
        self._leaves = {leaf.revision: leaf for leaf in leaves}
        # The members of the revisions that were read last.
        self._recent: dict[str, Fields] = {}
        self._all_leaves: tuple[Leaf, ...] | None = None
        self._presumed: set[str] = set()
        self._add(leaves)

    def node(self, revision: str) -> Node:
        """Return the parents of a revision. Raises Unknown."""
        if revision not in self._nodes:
            self._read(list(islice(self._unread(revision), NODES_PER_READ)))
        if revision not in self._nodes:
            # The branches that end with tombstones.
            self._add_below(self._every_leaf())
            self._presume([revision])
        if revision not in self._nodes:
            raise Unknown(revision)
        return self._nodes[revision]

    def members(self, revision: str) -> Fields:
        """Return the public members of a revision, none for a tombstone. Raises Unknown."""
        if leaf := self._leaves.get(revision):
            return self._public(leaf.item.fields)
        if revision not in self._recent:
            self._read([revision])
        if revision not in self._recent:
            raise Unknown(revision)
        return self._recent[revision]

    def unseen_merge(self) -> str | None:
        """Return a revision that may be a merge which is not known here yet, None if there is no sign of one.

        The sign is a tombstone of a merge on a revision that no known merge has joined.
        """
        if not self._presumed:
            return None
        joined = {parent for node in self._nodes.values() for parent in node.parents[1:]}
        tombstones = (leaf for leaf in self._every_leaf() if leaf.item.is_deleted and len(leaf.lineage) > 1)
        merged = {leaf.lineage[1] for leaf in tombstones if leaf.item.updated_by == MERGED_BY}
        return max(self._presumed) if merged - joined else None

    def _unread(self, revision: str) -> Iterator[str]:
        """Yield a revision and those below it in the tree, as far as they were not read."""
        each: str | None = revision
        while each is not None and each not in self._nodes:
            yield each
            each = self._below.get(each)

    def _read(self, revisions: Sequence[str]) -> None:
        versions = self._versions.find(self._doc_id, revisions)
        self._recent = {}
        for version in versions.values():
            self._add_version(version)
        missing = [each for each in revisions if each not in versions or versions[each].is_lost]
        self._add(self._store.read_revisions(self._doc_id, missing))
        self._presume(missing)

    def _add_version(self, version: Version) -> None:
        below = self._below.get(version.revision)
        parents = (*([] if below is None else [below]), *version.parents)
        if version.is_lost:
            return
        self._nodes[version.revision] = Node(tuple(dict.fromkeys(parents)), version.updated_by == MERGED_BY)
        self._recent[version.revision] = {} if version.is_deleted else self._public(version.members or {})

    def _add(self, leaves: Sequence[Leaf]) -> None:
        """Add revisions as CouchDB has them."""
        self._add_below(leaves)
        for leaf in leaves:
            parents = (*leaf.lineage[1:2], *leaf.item.fields.get(MERGED_FROM, ()))
            self._nodes[leaf.revision] = Node(tuple(dict.fromkeys(parents)), leaf.item.updated_by == MERGED_BY)
            self._recent[leaf.revision] = {} if leaf.item.is_deleted else self._public(leaf.item.fields)

    def _add_below(self, leaves: Iterable[Leaf]) -> None:
        for leaf in leaves:
            self._below.update(pairwise(leaf.lineage))

    def _presume(self, revisions: Sequence[str]) -> None:
        """Presume that revisions known from the tree alone are edits."""
        for each in revisions:
            if each not in self._nodes and (each in self._below or each.startswith("1-")):
                below = self._below.get(each)
                self._nodes[each] = Node(() if below is None else (below,))
                self._presumed.add(each)

    def _every_leaf(self) -> tuple[Leaf, ...]:
        if self._all_leaves is None:
            self._all_leaves = self._store.read_all(self._doc_id)
        return self._all_leaves

    def _public(self, fields: Fields) -> dict[str, Any]:
        return {name: fields[name] for name in self._names if name in fields}

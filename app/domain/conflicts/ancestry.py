"""The ancestors of revisions: those that several have in common, and merges of nothing but merges; pure.

A revision that is a merge has the revisions that it joined as parents, beside the one below it in the tree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple, Protocol

from app.store.items import Fields, generation_of
from app.store.leaves import winner_order


class Unknown(Exception):
    """The parents or the members of ``revision`` are not known here."""

    def __init__(self, revision: str) -> None:
        super().__init__(revision)
        self.revision = revision


class Node(NamedTuple):
    """The parents of a revision, and whether the resolver made it."""

    parents: tuple[str, ...]
    is_merge: bool = False


class Ancestry(Protocol):
    """The revisions of one item. Both methods raise Unknown."""

    def node(self, revision: str) -> Node:
        """Return the parents of a revision; the first of all has none."""

    def members(self, revision: str) -> Fields:
        """Return the public members of a revision, none for a tombstone."""


def nearest_common(groups: Sequence[Collection[str]], ancestry: Ancestry) -> tuple[str, ...]:
    """Return the common ancestors of all groups that are no ancestors of another, in CouchDB's winner order.

    The ancestors of a group are its revisions and their ancestors. Raises Unknown if one of the ancestors that have to
    be searched is not known. As ``git merge-base`` does, the search goes from the latest revisions backwards, and each
    one passes its marks on to its parents: a mark for each group, and one for the ancestors of a common one.
    """
    common_marks, passed = (1 << len(groups)) - 1, 1 << len(groups)
    marks: defaultdict[str, int] = defaultdict(int)
    for number, group in enumerate(groups):
        for revision in group:
            marks[revision] |= 1 << number
    queue = [_by_generation(revision) for revision in marks]
    heapify(queue)
    common = set()
    while any(not marks[revision] & passed for *_, revision in queue):
        revision = heappop(queue)[-1]
        inherited = marks[revision]
        if inherited & common_marks == common_marks:
            common.add(revision)
            inherited |= passed
        for parent in ancestry.node(revision).parents:
            if marks[parent] | inherited != marks[parent]:
                marks[parent] |= inherited
                heappush(queue, _by_generation(parent))
    nearest = (revision for revision in common if not marks[revision] & passed)
    return tuple(sorted(nearest, key=winner_order, reverse=True))


def _by_generation(revision: str) -> tuple[int, str]:
    """Return a key that sorts later generations first."""
    return -generation_of(revision), revision


def contained(leaves: Sequence[str], ancestry: Ancestry) -> set[str]:
    """Return those leaves that are ancestors of others, because a merge has joined them."""
    lowest = min(map(generation_of, leaves))
    return {other for leaf in leaves for other in _ancestors(leaf, lowest, ancestry) if other in leaves}


def _ancestors(revision: str, lowest: int, ancestry: Ancestry) -> set[str]:
    """Return the known ancestors of a revision, searched down to the generation ``lowest``."""
    ancestors: set[str] = set()
    pending = [revision]
    while pending:
        each = pending.pop()
        if generation_of(each) > lowest or each == revision:
            node = _known(each, ancestry)
            new = set(node.parents if node else ()) - ancestors
            ancestors |= new
            pending += new
    return ancestors - {revision}


def merges_in_a_row(revision: str, ancestry: Ancestry, limit: int) -> int:
    """Return how many merges follow each other, without an edit between them, up to ``revision``; ``limit`` at most.

    A merge that joined an edit begins a new row: the number of such merges is bounded by the number of edits.
    """
    level, count = {revision}, 0
    while count < limit:
        nodes = [node for each in level if (node := _known(each, ancestry))]
        if not nodes or not all(node.is_merge for node in nodes):
            break
        level = {parent for node in nodes for parent in node.parents}
        count += 1
    return count


def _known(revision: str, ancestry: Ancestry) -> Node | None:
    try:
        return ancestry.node(revision)
    except Unknown:
        return None

"""Makes versions of the revisions of an item, down to those that retention leaves out; pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from app.store.items import StoredItem
from app.store.leaves import Leaf
from app.store.version import Version


def is_old_tombstone(item: StoredItem, not_before: str) -> bool:
    """Return whether a leaf is a tombstone that was made before a time. Each merge leaves some."""
    return item.is_deleted and item.is_older_than(not_before)


def superseded_revisions(leaf: Leaf, known: Collection[str], limit: int) -> list[str]:
    """Return the revisions below a leaf that were not captured, the newest first, and at most ``limit``.

    Everything below a ``known`` revision was captured with it.
    """
    revisions: list[str] = []
    for revision in leaf.lineage[1 : limit + 1]:
        if revision in known:
            break
        revisions.append(revision)
    return revisions


class Descent:
    """Goes down from a leaf through the revisions below it, and makes their versions until one is due to go.

    ``members`` are the names of the public ones without the id. A version that was superseded before ``not_before``,
    an RFC 3339 time, is due. That is empty for an item with several leaves: an open conflict may need any version.
    """

    def __init__(self, members: Sequence[str], leaf: Leaf, not_before: str) -> None:
        self.leaf, self._members, self._not_before = leaf, members, not_before
        self._above: StoredItem | None = leaf.item
        self._parents = dict(pairwise(leaf.lineage))
        self._superseded_at: str | None = None
        self._has_ended = False

    @property
    def doc_id(self) -> str:
        """The `_id` of the item."""
        return self.leaf.item.doc_id

    @property
    def is_branch(self) -> bool:
        """Whether the item has other leaves."""
        return not self._not_before

    @property
    def is_old(self) -> bool:
        """Whether the leaf is so old that everything below it is due to go."""
        return self.leaf.item.is_older_than(self._not_before)

    @property
    def start(self) -> Version:
        """The version that the leaf is."""
        return Version.of_leaf(self.leaf, self._members)

    def step(self, revision: str, item: StoredItem | None) -> Version | None:
        """Return the version of the next revision, which is lost without ``item``; None if it and all below are due.

        It was superseded when the revision above it was written, or before that, if that one is lost. An edit in
        Fauxton keeps the time and the nonce, so only a revision with a nonce of its own shows the time.
        """
        above = self._above
        if above and not (item and item.nonce == above.nonce):
            self._superseded_at = above.fields.get("updated_at", self._superseded_at)
        self._has_ended = self._has_ended or bool(self._superseded_at and self._superseded_at < self._not_before)
        self._above = item
        if self._has_ended:
            return None
        parent = self._parents.get(revision)
        if item:
            return Version.of_item(item, self._members, parent)
        return Version(self.leaf.item.doc_id, revision, parents=(parent,) if parent else ())

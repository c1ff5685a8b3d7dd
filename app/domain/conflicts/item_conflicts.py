"""The conflicts of single items, for their reads and writes: whether one is open, and how other leaves are deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import NamedTuple

from app.domain.conflicts.judgement import Judgement
from app.domain.conflicts.reducer import SaveVersions
from app.errors import Unavailable, Unconfirmed
from app.store.confirmed_writes import pauses
from app.store.items import Fields, StoredItem
from app.store.leaves import Leaves, tombstone_write, winner_order

# Returns the judgement of an item, by its `_id` and its live leaves, None if these do not exist any more.
JudgeItem = Callable[[str, tuple[str, ...]], Judgement | None]


class ConflictState(NamedTuple):
    """Whether an item has an open conflict, and whether that stays so until one of its leaves changes."""

    is_open: bool
    is_final: bool


NO_CONFLICT = ConflictState(is_open=False, is_final=True)
# The other leaves could not be read: report a conflict, so that clients read the versions later.
UNKNOWN = ConflictState(is_open=True, is_final=False)


class ItemConflicts:
    """The conflicts of the items of one type. An item without other live leaves costs no request."""

    def __init__(self, judge: JudgeItem, leaves: Leaves, save_versions: SaveVersions) -> None:
        self._judge_item, self._leaves, self._save_versions = judge, leaves, save_versions

    def is_open(self, item: StoredItem) -> bool:
        """Return whether an item has versions that cannot be merged. Raises Unavailable."""
        judgement = self._judge(item)
        return judgement is not None and judgement.reason is not None

    def state(self, item: StoredItem) -> ConflictState:
        """Return the state of an item as it was read."""
        try:
            judgement = self._judge(item)
        except Unavailable:
            return UNKNOWN
        if judgement is None:
            return NO_CONFLICT
        return ConflictState(judgement.reason is not None, not judgement.is_pending)

    def supersede(self, doc_id: str, revisions: Collection[str], tombstone: Callable[[StoredItem], Fields]) -> None:
        """Delete those of the leaves that are still live, once the history has them.

        ``tombstone`` returns the fields that the tombstone of a leaf keeps. One that others have changed meanwhile is
        not among these leaves any more, and stays. Raises Unconfirmed if some may still be live.
        """
        tries, count = pauses(), len(revisions) + 1
        while True:
            with suppress(Unavailable):
                live = self._leaves.revisions([doc_id]).get(doc_id, ())
                pending = [revision for revision in live if revision in revisions]
                if not pending:
                    return
                is_progress, count = len(pending) < count, len(pending)
                self._delete(doc_id, pending, tombstone)
                if is_progress:
                    continue
            if next(tries, StopIteration) is StopIteration:
                raise Unconfirmed

    def _judge(self, item: StoredItem) -> Judgement | None:
        if not item.conflicts:
            return None
        live = sorted((item.revision, *item.conflicts), key=winner_order, reverse=True)
        return self._judge_item(item.doc_id, tuple(live))

    def _delete(self, doc_id: str, revisions: Sequence[str], tombstone: Callable[[StoredItem], Fields]) -> None:
        leaves = self._leaves.read_revisions(doc_id, revisions)
        self._save_versions(leaves)
        self._leaves.store([tombstone_write(leaf, tombstone(leaf.item)) for leaf in leaves])

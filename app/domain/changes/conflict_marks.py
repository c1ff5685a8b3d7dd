"""Completes the items of a feed that have several live leaves, which the feed shows by their current one alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from cachetools import LRUCache

from app.domain.changes.departures import LEFT, departures_of_all
from app.domain.conflicts.judgement import Judgement
from app.domain.resources import ResourceType
from app.store.items import StoredItem
from app.store.leaves import winner_order

# Items in conflict that are remembered, without their members.
MAX_REMEMBERED = 1_000

# Returns the judgement of an item, by its `_id` and its live leaves, None if these do not exist any more.
JudgeLeaves = Callable[[ResourceType, str, tuple[str, ...]], Judgement | None]


class ConflictMarks:
    """Marks items with open conflicts. Thread-safe. An item with one live leaf costs no request."""

    def __init__(self, judge: JudgeLeaves) -> None:
        self._judge = judge
        self._lock, self._known = Lock(), LRUCache[tuple[str, ...], StoredItem](MAX_REMEMBERED)

    def mark(self, resource_type: ResourceType, item: StoredItem) -> StoredItem:
        """Return an item of a feed whose ``conflicts`` are empty unless its conflict is open.

        A conflict is open, too, while the version that all come from may still arrive: its arrival changes nothing in
        the feed. The item gets the departures of all leaves and the time of the oldest one. So if a leaf arrived late,
        its departures are reported although their times are past. Raises Unavailable.
        """
        if not item.conflicts:
            return item
        live = tuple(sorted((item.revision, *item.conflicts), key=winner_order, reverse=True))
        with self._lock:
            known = self._known.get((item.doc_id, *live))
        if known is None:
            judgement = self._judge(resource_type, item.doc_id, live)
            known = _known(item, judgement)
            if judgement is not None and judgement.reason is not None:
                with self._lock:
                    self._known[(item.doc_id, *live)] = known
        return replace(known, fields={**item.fields, **known.fields})


def _known(item: StoredItem, judgement: Judgement | None) -> StoredItem:
    """Return an item with the members that its leaves change."""
    if judgement is None:
        # It has changed since, which the feed shows later.
        return replace(item, fields={}, conflicts=())
    leaves = [leaf.item for leaf in judgement.leaves]
    entries = departures_of_all(leaves)
    times = {"updated_at": min(leaf.fields["updated_at"] for leaf in leaves)}
    is_open = judgement.reason is not None or not judgement.writes
    return replace(
        item, fields={**times, **({LEFT: entries} if entries else {})}, conflicts=item.conflicts if is_open else ()
    )

"""The items of one type that the resolver has to judge: from the feed, from a sweep, and from earlier failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, MutableMapping
from itertools import islice

from app.domain.conflicts.judgement import Judgement, Reason
from app.domain.resources import ResourceType
from app.errors import Unavailable
from app.store import Database, Row
from app.store.leaves import Leaves

# The time between two sweeps, and until an item is judged again because it failed or its base may still arrive.
SWEEP_SECONDS, RETRY_SECONDS = 60.0, 5.0
# An index that does not answer in this time is left to the next sweep.
INDEX_SECONDS = 5.0
# Changes, and rows of the index, that one request reads.
CHANGES_PER_READ, ROWS_PER_READ = 1000, 50
# Items that are judged together.
ITEMS_PER_READ = 10
# Items that wait to be judged again; the sweep takes any others.
MAX_WAITING = 1000
# A judgement for these reasons depends on nothing but the leaves and their ancestry.
FINAL_REASONS = frozenset({Reason.CLASH, Reason.LOOP})

# The live leaves of items that were judged, and the reason why they are not merged, by `_id`.
Judged = MutableMapping[str, tuple[frozenset[str], Reason]]


class Backlog:
    """The items of ``resource_type``. ``database`` has the view. ``clock`` counts seconds. Raises Unavailable.

    A judgement in ``judged`` stands until one of the leaves changes.
    """

    def __init__(
        self,
        resource_type: ResourceType,
        leaves: Leaves,
        database: Database,
        judged: Judged,
        clock: Callable[[], float],
    ) -> None:
        self._type, self._leaves, self._database, self._clock = resource_type, leaves, database, clock
        # The first sweep begins after this place was noted, so that nothing is missed.
        self._place = leaves.sequence()
        # The `_id` where the sweep goes on, None between two sweeps.
        self._start: str | None = resource_type.first
        self._swept_at, self._is_sweeping = 0.0, False
        # The items to judge, and whether a sweep brought each.
        self._items: dict[str, bool] = {}
        # When to judge an item again.
        self._waiting: dict[str, float] = {}
        self._judged = judged
        self._counts: Counter[Reason] = Counter()
        self.open: Counter[Reason] = Counter()

    def fill(self) -> bool:
        """Read the next part of the feed and of the sweep, if no item is pending; return whether there may be more."""
        if self._items:
            return True
        is_last = self._follow() and self._sweep()
        for doc_id in [doc_id for doc_id, due_at in self._waiting.items() if due_at <= self._clock()]:
            del self._waiting[doc_id]
            self._items.setdefault(doc_id, False)
        return bool(self._items) or not is_last

    def take(self) -> list[str]:
        """Return the next items to judge."""
        return list(islice(self._items, ITEMS_PER_READ))

    def note(self, doc_id: str, judgement: Judgement | None) -> bool:
        """Note the outcome for an item, None for a failure; return whether it is a new reason for a conflict."""
        if judgement and judgement.reason:
            return self._note_reason(doc_id, frozenset(judgement.revisions), judgement.reason)
        if (judgement is None or not judgement.writes) and len(self._waiting) < MAX_WAITING:
            self._waiting[doc_id] = self._clock() + RETRY_SECONDS
        return False

    def drop(self, doc_ids: list[str]) -> None:
        """Remove these items, which were judged."""
        for doc_id in doc_ids:
            self._items.pop(doc_id, None)

    def _note_reason(self, doc_id: str, revisions: frozenset[str], reason: Reason) -> bool:
        is_new = self._judged.get(doc_id) != (revisions, reason)
        self._judged[doc_id] = revisions, reason
        self._counts[reason] += self._items.get(doc_id, False)
        return is_new

    def _follow(self) -> bool:
        """Read a part of the feed; return whether it ends there."""
        doc_ids, self._place, is_last = self._leaves.branched_since(self._place, limit=CHANGES_PER_READ)
        for doc_id in doc_ids:
            if doc_id.startswith(f"{self._type.name}:"):
                self._items.setdefault(doc_id, False)
        return is_last

    def _sweep(self) -> bool:
        """Read the next rows of the index; return whether there are no more."""
        if self._start is None:
            if self._is_sweeping:
                self.open, self._is_sweeping = self._counts, False
            if self._clock() - self._swept_at < SWEEP_SECONDS:
                return True
            self._start = self._type.first
        if not self._is_sweeping:
            self._counts, self._is_sweeping, self._swept_at = Counter(), True, self._clock()
        try:
            rows = self._rows(self._start)
        except Unavailable:
            self._start, self._is_sweeping = None, False
            return True
        for row in rows:
            judged, reason = self._judged.get(row.id, (frozenset(), None))
            if reason in FINAL_REASONS and judged == {row.value["rev"], *row.value["conflicts"]}:
                self._counts[reason] += 1
            else:
                self._items[row.id] = True
        self._start = f"{rows[-1].id}0" if len(rows) == ROWS_PER_READ else None
        # The next call ends the sweep and publishes its counts.
        return False

    def _rows(self, start: str) -> list[Row]:
        return self._database.view(
            "conflicts",
            "open",
            startkey=start,
            endkey=self._type.last,
            limit=ROWS_PER_READ,
            seconds=INDEX_SECONDS,
        )

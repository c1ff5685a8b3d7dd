"""A part of a feed, filtered and rendered once for all waiting clients that see the same changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from app.domain.access import Reach
from app.domain.changes.visibility import Shown, View, visible
from app.domain.resources import ResourceType
from app.store.feed import FeedRow
from app.store.items import StoredItem

# The text in one batch, except that one document may be larger.
BATCH_CHARACTERS = 2**18

PerspectiveKey = tuple[Reach | None, int | None, bool]
Render = Callable[[Shown], bytes]


@dataclass(frozen=True)
class Perspective:
    """The changes that a client sees: those of its view, with their values or without."""

    view: View
    with_values: bool

    @property
    def key(self) -> PerspectiveKey:
        """Clients with the same limits, the same filter and the same choice of values see the same changes."""
        return self.view.access.reach, self.view.project_id, self.with_values


class Point(NamedTuple):
    """A place in the feed, and the time (RFC 3339) before which every change has been reported there."""

    sequence: int | str
    time: str


@dataclass
class Batch:
    """Consecutive rows of the feed, between two points. ``secret`` is the key of the tags of removals."""

    resource_type: ResourceType
    secret: str
    items: Sequence[StoredItem]
    start: Point
    end: Point
    received_at: float
    characters: int
    number: int = 0
    # Computed when first needed: the bodies of items by `_id`, and the changes.
    _bodies: dict[str, bytes] = field(default_factory=dict)
    _changes: dict[PerspectiveKey, tuple[Shown, ...]] = field(default_factory=dict)
    _rendered: dict[tuple[PerspectiveKey, Render], tuple[bytes, ...]] = field(default_factory=dict)

    def changes(self, perspective: Perspective) -> tuple[Shown, ...]:
        """Return the changes that a client sees."""
        key = perspective.key
        if key not in self._changes:
            changes = (self._change(item, perspective) for item in self.items)
            self._changes[key] = tuple(filter(None, changes))
        return self._changes[key]

    def rendered(self, perspective: Perspective, render: Render) -> tuple[bytes, ...]:
        """Return the changes that a client sees, rendered."""
        key = perspective.key, render
        if key not in self._rendered:
            self._rendered[key] = tuple(map(render, self.changes(perspective)))
        return self._rendered[key]

    def _change(self, item: StoredItem, perspective: Perspective) -> Shown | None:
        change = visible(self.resource_type, item, perspective.view, self.start.time, self.secret, with_value=False)
        if change is None or change.is_deleted or not perspective.with_values:
            return change
        if item.doc_id not in self._bodies:
            self._bodies[item.doc_id] = self.resource_type.body(item.fields)
        return replace(change, value=self._bodies[item.doc_id])


def portions(
    rows: Sequence[FeedRow], resource_type: ResourceType, end: int | str
) -> Iterator[tuple[list[StoredItem], int | str, int]]:
    """Yield the items of this type in ``rows`` in portions of limited size, each with the place after it."""
    items: list[StoredItem] = []
    characters, sequence = 0, end
    for row in rows:
        size = row.item.characters
        if items and characters + size > BATCH_CHARACTERS:
            yield items, sequence, characters
            items, characters = [], 0
        if resource_type.first < row.item.doc_id <= resource_type.last:
            items.append(row.item)
            characters += size
        sequence = row.sequence
    yield items, end, characters

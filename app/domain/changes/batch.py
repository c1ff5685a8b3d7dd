"""A part of a feed, filtered and rendered once for all waiting clients that see the same changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from app.domain.access import Reach
from app.domain.changes.visibility import Shown
from app.domain.resources import ResourceType
from app.store.feed import FeedRow
from app.store.items import StoredItem

# The text in one batch, except that one document may be larger.
BATCH_CHARACTERS = 2**18

# Clients with the same limits, the same filter and the same choice of values see the same changes.
ViewKey = tuple[Reach | None, int | None, bool]
Render = Callable[[Shown], bytes]


@dataclass
class Batch:
    """Consecutive rows of the feed, and the places before and after them.

    Everything before ``time`` (RFC 3339) was reported.
    """

    items: Sequence[StoredItem]
    start: int | str
    sequence: int | str
    time: str
    received_at: float
    characters: int
    number: int = 0
    # Computed when first needed: the bodies of items by `_id`, and changes by view.
    bodies: dict[str, bytes] = field(default_factory=dict)
    changes: dict[ViewKey, tuple[Shown, ...]] = field(default_factory=dict)
    rendered: dict[tuple[ViewKey, Render], tuple[bytes, ...]] = field(default_factory=dict)


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

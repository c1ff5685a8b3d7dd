"""The items that a batch works on: read in requests of limited size, and kept where a later operation needs them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from app.domain.items import Items
from app.errors import Unavailable
from app.store.items import StoredItem

# Items in the first read, and characters of text that each further read should bring at most.
FIRST_READ_ITEMS, READ_CHARACTERS = 50, 4 * 2**20
# Above this number of characters in memory, items are written before more are read.
MAX_CHARACTERS = 32 * 2**20


class WorkingSet:
    """Items of one type. ``public_ids`` are those of all operations; an item that comes again is kept."""

    def __init__(self, items: Items, public_ids: Iterable[int]) -> None:
        self._items = items
        self._repeated = {public_id for public_id, count in Counter(public_ids).items() if count > 1}
        self._known: dict[int, StoredItem | None] = {}
        # The sizes of items that are kept after they were written, and their sum.
        self._sizes: dict[int, int] = {}
        self._size = 0

    def __getitem__(self, public_id: int) -> StoredItem | None:
        """Return an item that was read, None if it is absent or was not read."""
        return self._known.get(public_id)

    def read(self, public_ids: Sequence[int]) -> int:
        """Read the first of these items, as many as fit; return how many. Raises Unavailable if none could be read."""
        size, end, count = 0, 0, FIRST_READ_ITEMS
        while end < len(public_ids) and (not end or self._size + size < MAX_CHARACTERS):
            missing = [each for each in public_ids[end : end + count] if each not in self._known]
            try:
                items = self._items.find_many(missing)
            except Unavailable:
                if not end:
                    raise
                break
            self._known |= {each: items.get(each) for each in missing}
            size += sum(item.characters for item in items.values())
            end = min(end + count, len(public_ids))
            # The next items may be larger than those so far.
            count = max(1, min(2 * count, end * READ_CHARACTERS // max(size, 1)))
        return end

    def record(self, public_id: int, item: StoredItem | None) -> None:
        """Record an item after it was written. None stands for an unknown state, which is read again when needed."""
        self._size -= self._sizes.pop(public_id, 0)
        self._known.pop(public_id, None)
        if item is not None and public_id in self._repeated and self._size + item.characters < MAX_CHARACTERS:
            self._known[public_id] = None if item.is_deleted else item
            self._sizes[public_id] = item.characters
            self._size += item.characters

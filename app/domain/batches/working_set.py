"""The items that a batch works on, as they are while it goes on: read in bearable requests, and known when written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from app.domain.items import Items
from app.errors import Unavailable
from app.store.items import StoredItem

# How many items are read at first, and how many characters of text a request is then to bring at most.
FIRST, ASKED = 50, 4 * 2**20
# Beyond so many characters nothing more is read until what is there was written: a batch may be of large items only.
ROOM = 32 * 2**20


class Latest:
    """Items of one kind; ``public_ids`` are those of all operations, so that what is worked on again is kept."""

    def __init__(self, items: Items, public_ids: Iterable[int]) -> None:
        self._items = items
        self._repeated = {public_id for public_id, times in Counter(public_ids).items() if times > 1}
        self._known: dict[int, StoredItem | None] = {}
        # How many characters that takes which is kept after it was written.
        self._kept: dict[int, int] = {}
        self._size = 0

    def __getitem__(self, public_id: int) -> StoredItem | None:
        """Return an item that was read, None if there is none or it was not."""
        return self._known.get(public_id)

    def read(self, public_ids: Sequence[int]) -> int:
        """Read the first of these, as many as there is room for; return how many. Raises Unavailable if it is none."""
        size, end, count = 0, 0, FIRST
        while end < len(public_ids) and (not end or self._size + size < ROOM):
            lacking = [each for each in public_ids[end : end + count] if each not in self._known]
            try:
                found = self._items.find_many(lacking)
            except Unavailable:
                if not end:
                    raise
                break
            self._known |= {each: found.get(each) for each in lacking}
            size += sum(map(_size, found.values()))
            end = min(end + count, len(public_ids))
            # Those to come may be larger than those so far.
            count = max(1, min(2 * count, end * ASKED // max(size, 1)))
        return end

    def settle(self, public_id: int, item: StoredItem | None) -> None:
        """Note what was made of an item; None if that is not known, so that it is read again where it is needed.

        So is what there is no room for.
        """
        self._size -= self._kept.pop(public_id, 0)
        self._known.pop(public_id, None)
        if item is not None and public_id in self._repeated and self._size + _size(item) < ROOM:
            self._known[public_id] = None if item.is_deleted else item
            self._kept[public_id] = _size(item)
            self._size += _size(item)


def _size(item: StoredItem) -> int:
    return sum(len(value) for value in item.fields.values() if isinstance(value, str))

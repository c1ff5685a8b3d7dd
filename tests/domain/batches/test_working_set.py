"""The items of a batch are read in bounded requests and memory, and not again after a write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from app.domain.batches import working_set
from app.domain.batches.working_set import WorkingSet
from app.domain.items import Items
from app.errors import Unavailable
from app.store.items import StoredItem

pytestmark = pytest.mark.nodatabase


def item(public_id: int, revision: str, content: str = "", *, is_deleted: bool = False) -> StoredItem:
    return StoredItem("a", revision, {"id": public_id, "content": content}, is_deleted)


class Shelf:
    """Items of ``size`` characters; the even ones exist, and the request number ``fails`` is not answered."""

    def __init__(self, size: int, fails: int | None = None) -> None:
        self._size, self._fails = size, fails
        self.asked: list[list[int]] = []

    def find_many(self, public_ids: Sequence[int]) -> dict[int, StoredItem]:
        """Return the items that there are."""
        self.asked.append(list(public_ids))
        if len(self.asked) - 1 == self._fails:
            raise Unavailable
        return {each: item(each, "1-a", "x" * self._size) for each in public_ids if not each % 2}


def reading(shelf: Shelf, *public_ids: int) -> WorkingSet:
    """Return a working set that reads from ``shelf``."""
    return WorkingSet(cast(Items, shelf), public_ids)


def test_small_items_are_read_in_ever_larger_requests() -> None:
    shelf = Shelf(300)
    items = reading(shelf)
    assert items.read(range(1, 1001)) == 1000
    assert [len(ids) for ids in shelf.asked] == [50, 100, 200, 400, 250]
    assert items[1] is None
    assert cast(StoredItem, items[1000]).public_id == 1000


def test_large_items_are_read_in_small_requests_until_there_is_no_more_room() -> None:
    shelf = Shelf(2**20)
    items = reading(shelf)
    number = items.read(range(1, 1001))
    characters = sum(items[each] is not None for each in range(number + 1)) * 2**20
    assert working_set.MAX_CHARACTERS <= characters < 2 * working_set.MAX_CHARACTERS
    assert [len(part) for part in shelf.asked][1:] == [8] * (len(shelf.asked) - 1)
    assert [each for part in shelf.asked for each in part] == list(range(1, number + 1))


def test_large_items_that_come_after_small_ones_are_not_all_read_at_once() -> None:
    shelf = Shelf(0)
    find_many = shelf.find_many

    def growing(public_ids: Sequence[int]) -> dict[int, StoredItem]:
        shelf._size = 2**20 if shelf.asked else 0
        return find_many(public_ids)

    shelf.find_many = growing  # type: ignore[method-assign]
    assert reading(shelf).read(range(1, 1001)) < 1000
    assert [len(part) for part in shelf.asked] == [50, 100]


def test_items_read_before_a_failure_are_available() -> None:
    assert reading(Shelf(1, fails=1)).read(range(1, 1001)) == working_set.FIRST_READ_ITEMS
    with pytest.raises(Unavailable):
        reading(Shelf(1, fails=0)).read([1])


def test_items_for_later_operations_are_kept_within_a_limit() -> None:
    ids = range(2, 202, 2)
    shelf = Shelf(2**20)
    items = reading(shelf, *ids, *ids)
    for each in ids:
        items.record(each, item(each, "2-a", "x" * 2**20))
    cached = sum(items[each] is not None for each in ids)
    assert cached == working_set.MAX_CHARACTERS // 2**20 - 1
    # Reading goes on, however much is cached.
    assert items.read(ids[-3:]) == 3
    for each in ids:
        items.record(each, None)
    assert items.read(ids) > cached


def test_only_items_with_a_later_operation_are_kept() -> None:
    shelf = Shelf(1)
    items = reading(shelf, 2, 4, 4, 6, 6, 8, 8)
    assert items.read([2, 4, 6, 8]) == 4
    items.record(2, item(2, "2-a"))
    items.record(4, item(4, "2-a"))
    items.record(6, item(6, "2-a", is_deleted=True))
    items.record(8, None)
    assert items.read([2, 4, 6, 8]) == 4
    assert shelf.asked == [[2, 4, 6, 8], [2, 8]]
    assert (cast(StoredItem, items[4]).revision, items[6], cast(StoredItem, items[8]).revision) == ("2-a", None, "1-a")

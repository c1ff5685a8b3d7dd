"""Blocks of ids cover every id once and belong to one region each."""

from __future__ import annotations

from itertools import count, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store.claimed_ids import block, next_own
from app.store.items import MAX_ID

pytestmark = pytest.mark.nodatabase

NUMBERS = st.integers(0, 10**13)


def test_blocks_follow_each_other_without_gap_or_overlap() -> None:
    dealt = [i for number in takewhile(lambda n: block(n)[0] <= 105_000, count()) for i in block(number)]
    assert dealt[:105_000] == list(range(1, 105_001))


@given(NUMBERS)
def test_a_block_begins_where_the_one_before_ends(number: int) -> None:
    if block(number + 1):
        assert block(number)[-1] + 1 == block(number + 1)[0]


@pytest.mark.parametrize(
    ("public_id", "size"),
    [
        (1, 1),
        (100, 1),
        (101, 10),
        (1_000, 10),
        (1_001, 100),
        (100_000, 100),
        (100_001, 1_000),
        (5_000_000, 1_000),
    ],
)
def test_a_blocks_size_depends_on_where_it_lies(public_id: int, size: int) -> None:
    assert next(len(block(n)) for n in count() if public_id in block(n)) == size


def test_no_id_exceeds_the_integers_of_json() -> None:
    number = 1_180 + (MAX_ID - 100_001) // 1_000
    assert block(number)[-1] == MAX_ID
    assert not block(number + 1)


@given(st.integers(-1, 10**6), st.integers(1, 9), st.data())
def test_regions_take_turns(number: int, regions: int, data: st.DataObject) -> None:
    region = data.draw(st.integers(0, regions - 1))
    own = next_own(number, region, regions)
    assert own % regions == region
    assert number < own <= number + regions

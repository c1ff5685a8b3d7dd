"""The rows, the ETag and the bounds of pages."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.listing.pages import IndexRow, ListQuery, Page, cut
from app.store.items import MAX_ID

pytestmark = pytest.mark.nodatabase

ROWS = st.lists(
    st.builds(IndexRow, st.integers(1, 6), st.sampled_from(["1-a", "1-b", "2-a"]), st.none()),
    max_size=5,
    unique_by=lambda r: r.public_id,
).map(lambda rows: sorted(rows, key=lambda row: row.public_id))
LIMITS = st.integers(1, 4)


def observed(page: Page) -> tuple[object, ...]:
    """Return the parts of a page that a client can observe."""
    return page.rows, page.next_position is not None


@given(ROWS, ROWS, LIMITS)
def test_tags_are_equal_if_and_only_if_pages_are(one: list[IndexRow], other: list[IndexRow], limit: int) -> None:
    first, second = cut(one, ListQuery(limit)), cut(other, ListQuery(limit))
    assert (first.tag == second.tag) == (observed(first) == observed(second))


@given(ROWS, LIMITS)
def test_a_page_has_at_most_its_limit_and_a_next_position_if_there_are_more(rows: list[IndexRow], limit: int) -> None:
    page = cut(rows, ListQuery(limit))
    assert list(page.rows) == rows[:limit]
    assert (page.next_position is not None) == (len(rows) > limit)


@given(st.sets(st.integers(1, 50)), LIMITS, st.sampled_from(["asc", "desc"]))
def test_a_walk_lists_each_requested_id_once_and_in_order(ids: set[int], limit: int, order: str) -> None:
    listed: list[int] = []
    position: int | None = None
    while True:
        query = ListQuery(limit, order, position, ids=tuple(ids))  # type: ignore[arg-type]
        page = cut([IndexRow(i, "1-a") for i in query.remaining_ids()], query)
        listed += [row.public_id for row in page.rows]
        position = page.next_position
        if position is None:
            break
    assert listed == sorted(ids, reverse=order == "desc")


def test_bounds_exclude_the_position() -> None:
    assert ListQuery(10).bounds == (0, MAX_ID)
    assert ListQuery(10, position=7).bounds == (8, MAX_ID)
    assert ListQuery(10, "desc", position=7).bounds == (0, 6)


def test_a_page_that_ends_early_names_its_rows_in_its_tag() -> None:
    whole = Page(tuple(IndexRow(i, "1-a") for i in (1, 3, 5)), next_position=5)
    early = replace(whole, row_count=2)
    assert (whole.last_position, early.last_position) == (5, 3)
    assert early.tag == f"{whole.tag}.2"
    assert whole.known_as(["x", early.tag]) == early
    assert whole.known_as([whole.tag]) == whole
    assert whole.known_as(["*"]) is None


@pytest.mark.parametrize("count", ["0", "3", "03", "9999", "x", "", "-1", "²"])
def test_a_tag_that_names_no_number_of_the_rows_describes_no_page(count: str) -> None:
    whole = Page(tuple(IndexRow(i, "1-a") for i in (1, 3, 5)), next_position=None)
    assert whole.known_as([f"{whole.tag}.{count}", "x.1", ""]) is None

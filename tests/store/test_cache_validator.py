"""When what was read can be held for current."""

from __future__ import annotations

import pytest

from app.store import Freshness, Versions

pytestmark = pytest.mark.nodatabase

ONE, OTHER = "document:0000000000000001", "document:0000000000000002"


@pytest.fixture
def versions() -> Versions:
    return Versions()


@pytest.fixture
def freshness(versions: Versions) -> Freshness:
    found = Freshness(versions)
    found.caught_up()
    return found


def test_nothing_is_current_without_a_feed(versions: Versions) -> None:
    freshness = Freshness(versions)
    assert freshness.mark(ONE) is None
    freshness.caught_up()
    mark, whole = freshness.mark(ONE), freshness.mark()
    assert freshness.holds(mark, ONE)
    assert freshness.holds(whole)
    freshness.lost()
    assert not freshness.holds(mark, ONE)
    assert freshness.mark(ONE) is None
    freshness.caught_up()
    assert not freshness.holds(mark, ONE)
    assert not freshness.holds(whole)
    assert freshness.holds(freshness.mark(ONE), ONE)


def test_a_write_of_this_host_ends_what_is_held(versions: Versions, freshness: Freshness) -> None:
    mark, other, whole = freshness.mark(ONE), freshness.mark(OTHER), freshness.mark()
    with versions.writing([ONE]):
        assert not freshness.holds(mark, ONE)
        assert not freshness.holds(whole)
        assert freshness.mark(ONE) is None
        assert freshness.mark() is None
        assert freshness.holds(other, OTHER)
        assert freshness.mark(OTHER) is not None
    assert not freshness.holds(mark, ONE)
    assert freshness.holds(freshness.mark(ONE), ONE)


def test_a_change_that_is_told_ends_what_is_held(freshness: Freshness) -> None:
    mark, other, whole = freshness.mark(ONE), freshness.mark(OTHER), freshness.mark()
    freshness.changed([ONE])
    assert not freshness.holds(mark, ONE)
    assert not freshness.holds(whole)
    assert freshness.holds(other, OTHER)


def test_what_was_read_before_a_change_was_told_is_not_kept_after_it(freshness: Freshness) -> None:
    """The reader was slow: what it read is older than the change, though nothing was held when that was told."""
    mark = freshness.mark(ONE)
    freshness.changed([ONE])
    later = freshness.mark(ONE)
    assert not freshness.holds(mark, ONE)
    assert freshness.holds(later, ONE)


def test_no_mark_holds_nothing(freshness: Freshness) -> None:
    assert not freshness.holds(None, ONE)

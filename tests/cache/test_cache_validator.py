"""When what was read can be held for current."""

from __future__ import annotations

import pytest

from app.cache.cache_validator import CacheValidator
from app.cache.write_counters import WriteCounters

pytestmark = pytest.mark.nodatabase

ONE, OTHER = "document:0000000000000001", "document:0000000000000002"


@pytest.fixture
def counters() -> WriteCounters:
    return WriteCounters()


@pytest.fixture
def validator(counters: WriteCounters) -> CacheValidator:
    found = CacheValidator(counters)
    found.caught_up()
    return found


def test_nothing_is_current_without_a_feed(counters: WriteCounters) -> None:
    validator = CacheValidator(counters)
    assert validator.token(ONE) is None
    validator.caught_up()
    token, whole = validator.token(ONE), validator.token()
    assert validator.is_valid(token, ONE)
    assert validator.is_valid(whole)
    validator.lost()
    assert not validator.is_valid(token, ONE)
    assert validator.token(ONE) is None
    validator.caught_up()
    assert not validator.is_valid(token, ONE)
    assert not validator.is_valid(whole)
    assert validator.is_valid(validator.token(ONE), ONE)


def test_a_write_of_this_host_ends_what_is_held(counters: WriteCounters, validator: CacheValidator) -> None:
    token, other, whole = validator.token(ONE), validator.token(OTHER), validator.token()
    with counters.writing([ONE]):
        assert not validator.is_valid(token, ONE)
        assert not validator.is_valid(whole)
        assert validator.token(ONE) is None
        assert validator.token() is None
        assert validator.is_valid(other, OTHER)
        assert validator.token(OTHER) is not None
    assert not validator.is_valid(token, ONE)
    assert validator.is_valid(validator.token(ONE), ONE)


def test_a_change_that_is_told_ends_what_is_held(validator: CacheValidator) -> None:
    token, other, whole = validator.token(ONE), validator.token(OTHER), validator.token()
    validator.changed([ONE])
    assert not validator.is_valid(token, ONE)
    assert not validator.is_valid(whole)
    assert validator.is_valid(other, OTHER)


def test_what_was_read_before_a_change_was_told_is_not_kept_after_it(validator: CacheValidator) -> None:
    """The reader was slow: what it read is older than the change, though nothing was held when that was told."""
    token = validator.token(ONE)
    validator.changed([ONE])
    later = validator.token(ONE)
    assert not validator.is_valid(token, ONE)
    assert validator.is_valid(later, ONE)


def test_no_mark_holds_nothing(validator: CacheValidator) -> None:
    assert not validator.is_valid(None, ONE)

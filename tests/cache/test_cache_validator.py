"""When a token is valid."""

from __future__ import annotations

import pytest

from app.cache.validity import CacheValidator, WriteCounters

pytestmark = pytest.mark.nodatabase

ONE, OTHER = "document:0000000000000001", "document:0000000000000002"


@pytest.fixture
def counters() -> WriteCounters:
    return WriteCounters()


@pytest.fixture
def validator(counters: WriteCounters) -> CacheValidator:
    validator = CacheValidator(counters)
    validator.caught_up()
    return validator


def test_no_token_is_valid_without_a_feed(counters: WriteCounters) -> None:
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


def test_a_write_of_this_host_makes_tokens_invalid(counters: WriteCounters, validator: CacheValidator) -> None:
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


def test_a_reported_change_makes_tokens_invalid(validator: CacheValidator) -> None:
    token, other, whole = validator.token(ONE), validator.token(OTHER), validator.token()
    validator.changed([ONE])
    assert not validator.is_valid(token, ONE)
    assert not validator.is_valid(whole)
    assert validator.is_valid(other, OTHER)

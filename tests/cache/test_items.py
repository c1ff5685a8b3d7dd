"""Which bodies are kept, and for how long they are served."""

from __future__ import annotations

import pytest

from app.cache.items import ENTRY_BYTES, BodyCache
from app.cache.validity import CacheValidator, WriteCounters
from app.domain.resources import DOCUMENT, RenderedItem

pytestmark = pytest.mark.nodatabase


def item(public_id: int, revision: str = "1-a", body: bytes = b"{}") -> RenderedItem:
    return RenderedItem(public_id, revision, None, body)


@pytest.fixture
def validator() -> CacheValidator:
    validator = CacheValidator(WriteCounters())
    validator.caught_up()
    return validator


def cache_of(validator: CacheValidator, max_bytes: int = 2**20) -> BodyCache:
    return BodyCache(DOCUMENT, validator, lambda: None, max_bytes)


def test_an_item_is_served_until_it_changes(validator: CacheValidator) -> None:
    cache = cache_of(validator)
    assert cache.put(item(1), cache.token(1)) == item(1)
    assert cache.get(1) == item(1)
    validator.changed([DOCUMENT.doc_id(2)])
    assert cache.get(1) == item(1)
    validator.changed([DOCUMENT.doc_id(1)])
    assert cache.get(1) is None
    assert cache.get_revision(1, "1-a") == item(1)
    assert cache.get_revision(1, "2-b") is None


def test_an_item_without_a_token_is_served_by_revision_only(validator: CacheValidator) -> None:
    cache = cache_of(validator)
    cache.put(item(1), None)
    assert cache.get(1) is None
    assert cache.get_revision(1, "1-a") == item(1)


def test_taking_a_token_starts_the_follower(validator: CacheValidator) -> None:
    starts: list[None] = []
    cache = BodyCache(DOCUMENT, validator, lambda: starts.append(None), 100)
    assert cache.get(1) is None
    assert not starts
    cache.token(1)
    cache.token()
    assert len(starts) == 2


def test_the_least_recently_used_items_make_room(validator: CacheValidator) -> None:
    size = len(item(1).body) + ENTRY_BYTES
    cache = cache_of(validator, 3 * size)
    for number in (1, 2, 3):
        cache.put(item(number), cache.token(number))
    assert cache.bytes == 3 * size
    assert cache.get(1)
    cache.put(item(4), cache.token(4))
    assert [number for number in (1, 2, 3, 4) if cache.get(number)] == [1, 3, 4]
    cache.put(item(3, "2-b"), cache.token(3))
    assert cache.bytes == 3 * size


def test_an_item_larger_than_the_cache_is_not_kept(validator: CacheValidator) -> None:
    cache = cache_of(validator, 1000)
    cache.put(item(1), cache.token(1))
    large = item(2, body=b"x" * 1000)
    assert cache.put(large, cache.token(2)) == large
    assert cache.get(2) is None
    assert cache.get(1)

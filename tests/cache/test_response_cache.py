"""Which requests the cache answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from werkzeug.test import EnvironBuilder

from app.cache.items import BodyCache
from app.cache.response_cache import ENTRY_BYTES, PAGES_SHARE, ResponseCache
from app.cache.validity import CacheValidator, WriteCounters
from app.domain.access import Access
from app.domain.keys.authenticator import Authenticator
from app.domain.resources import DOCUMENT
from app.http.answers import Answer
from tests.offline_settings import OFFLINE_SETTINGS

pytestmark = pytest.mark.nodatabase

ACCESS = Access(1, "p1", frozenset({"documents:read"}))


class KnownKey:
    """Stands for the authenticator, with one valid key."""

    def recall(self, _: str | None) -> Access:
        return ACCESS


# The memory for pages: enough for any one of these.
PAGES_BYTES = 3 * ENTRY_BYTES


@pytest.fixture
def cache() -> ResponseCache:
    settings = replace(OFFLINE_SETTINGS, cache_bytes=PAGES_SHARE * PAGES_BYTES)
    validator = CacheValidator(WriteCounters())
    validator.caught_up()
    bodies = {"documents": BodyCache(DOCUMENT, validator, lambda: None, 2**20)}
    return ResponseCache(settings, bodies, cast(Authenticator, KnownKey()), None, lambda: None)


def request(host: str | None, query: str = "") -> dict[str, Any]:
    """Return the environ of a request for a page."""
    environ: dict[str, Any] = EnvironBuilder("/documents", query_string=query).get_environ()
    del environ["HTTP_HOST"]
    return environ if host is None else {**environ, "HTTP_HOST": host}


def read(cache: ResponseCache, host: str | None, query: str = "") -> None:
    """Let the cache see Flask's answer to a request."""
    with cache.reading(request(host, query), ACCESS, "/documents", "documents:read", ["documents"]) as flight:
        flight.result = Answer(b"[]\n", 200, {"ETag": '"a"'}, is_cacheable=True)


def test_a_page_is_answered_again_under_the_same_host(cache: ResponseCache) -> None:
    read(cache, "x")
    assert cache.lookup(request("x")) is not None
    assert cache.lookup(request("y")) is None


@pytest.mark.parametrize("host", [None, ""])
def test_flask_answers_requests_that_name_no_host(cache: ResponseCache, host: str | None) -> None:
    """Flask accepts HTTP/1.0 without Host, and refuses an empty one, for which the cache has no response."""
    read(cache, None)
    assert cache.lookup(request(host)) is None


def test_long_queries_count_against_the_budget(cache: ResponseCache) -> None:
    queries = [f"ids={number}{'0' * ENTRY_BYTES}" for number in (1, 2)]
    for query in queries:
        read(cache, "x", query)
    assert [cache.lookup(request("x", query)) is not None for query in queries] == [False, True]

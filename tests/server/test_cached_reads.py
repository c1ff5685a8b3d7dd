"""Cached reads are answered as soon as their headers are there, and exactly as Flask answers them."""

from __future__ import annotations

import re
from functools import partial
from itertools import count
from typing import Any

import pytest

from tests.server.live import Live
from tests.server.raw import RawClient, RawResponse, head, post
from tests.waiting import wait_until

# Each request of the module has an id of its own in the log.
NUMBERS = count()


@pytest.fixture(scope="module")
def overrides() -> dict[str, str]:
    """One worker, since each has its own cache."""
    return {"DREAMSCRIPT_WORKERS": "1"}


def cached(live: Live, request_id: str) -> bool:
    """Return whether the request was answered from the cache, by its line in the log."""
    return live.wait_for(lambda: lines_of(live, request_id))[-1].get("cache") == "hit"


def lines_of(live: Live, request_id: str) -> list[dict[str, Any]]:
    """Return the lines of a request in the log."""
    return [event for event in live.events() if event.get("request_id") == request_id]


@pytest.fixture(scope="module")
def path(live: Live, key: str) -> str:
    """The path of a document that is in the cache."""
    document = f"/documents/{live.request('POST', '/documents', key, {'title': 'Hot'})[1]['id']}"
    response_of(live, "warm", True, document, key)
    return document


def response_of(
    live: Live, name: str, is_hit: bool, path: str, key: str, *headers: str, version: str = "1.1"
) -> tuple[str, RawResponse]:
    """Return the id and the response of a read from the cache, or from Flask.

    It is repeated until then: a busy machine may pause for longer than a key is remembered or a feed counts as live.
    """

    def attempt() -> tuple[str, RawResponse] | None:
        request_id = f"{name}-{next(NUMBERS)}"
        with RawClient(live) as client:
            client.sendall(get(path, key, *headers, f"X-Request-ID: {request_id}", version=version))
            response = client.response()
        return (request_id, response) if cached(live, request_id) is is_hit else None

    outcome = wait_until(attempt)
    assert outcome
    return outcome


def get(path: str, key: str, *headers: str, version: str = "1.1") -> bytes:
    """Return a read."""
    return head("GET", path, f"X-API-Key: {key}", *headers, version=version)


@pytest.mark.parametrize("condition", [(), ('If-None-Match: "other"',), ("If-None-Match: *",)])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("connection", [(), ("Connection: close",), ("Connection: keep-alive",)])
def test_a_response_is_the_same_from_the_cache_and_from_flask(
    live: Live, key: str, path: str, condition: tuple[str, ...], version: str, connection: tuple[str, ...]
) -> None:
    responses = []
    for is_hit, accept in ((True, "*/*"), (False, "application/json;q=0.9")):
        headers = (*condition, *connection, f"Accept: {accept}")
        _, response = response_of(live, f"same-{is_hit}", is_hit, path, key, *headers, version=version)
        own = {"x-request-id": "", "date": ""}
        responses.append((response.status, {**response.headers, **own}, response.body))
    assert responses[0] == responses[1]


def test_a_line_of_the_log_is_the_same_from_the_cache_and_from_flask(live: Live, key: str, path: str) -> None:
    lines = []
    for is_hit, accept in ((True, "*/*"), (False, "application/json;q=0.9")):
        request_id, response = response_of(live, f"line-{is_hit}", is_hit, path, key, f"Accept: {accept}")
        assert response.status == 200
        events = live.wait_for(partial(lines_of, live, request_id))
        lines.append({**events[0], "time": "", "duration_ms": 0, "request_id": ""})
    assert lines[0].pop("cache") == "hit"
    assert lines[0] == lines[1]


def test_cached_reads_wait_for_earlier_requests(live: Live, key: str, path: str) -> None:
    slow = get("/documents?limit=1", key, "Cache-Control: no-cache")
    one, last = get(path, key), get(path, key, "Connection: close")
    with RawClient(live) as client:
        client.sendall(one + one + slow + one)
        client.sendall(one + slow + last)
        kinds = [re.match(rb"\[?\{", client.response().body) for _ in range(7)]
        assert client.rest() == b""
    assert [kind and kind[0] for kind in kinds] == [b"{", b"{", b"[{", b"{", b"{", b"[{", b"{"]


@pytest.mark.parametrize("cut", [1, 20, -3])
def test_a_request_may_arrive_in_pieces(live: Live, key: str, path: str, cut: int) -> None:
    one = get(path, key)
    with RawClient(live) as client:
        client.sendall(one + one[:cut])
        assert client.response().status == 200
        client.sendall(one[cut:] + get(path, key, "Connection: close"))
        assert [client.response().status for _ in range(2)] == [200, 200]
        assert client.rest() == b""


def test_other_requests_are_left_to_flask(live: Live, key: str, path: str) -> None:
    with RawClient(live) as client:
        client.sendall(get(path, "other") + get(path, key, "Content-Length: 2") + b"{}" + get(path, key))
        assert [client.response().status for _ in range(3)] == [401, 200, 200]
        client.sendall(head("GET", path, f"X-API-Key: {key}", "Content-Length: 2", version="1.0", host=None) + b"{}")
        assert client.response().status == 200
    with RawClient(live) as client:
        client.sendall(get(path, key, "Transfer-Encoding: chunked") + b"0\r\n\r\n" + post(key, 2) + b"{}")
        assert [client.response().status for _ in range(2)] == [200, 400]

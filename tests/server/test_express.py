"""Hot reads are answered as soon as their headers are there, byte for byte as on the usual way."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator

import pytest

from tests.api.conftest import deployed_settings
from tests.server.live import PATIENCE, SECRET, Live, command, environment
from tests.waiting import wait_until

DATE = re.compile(rb"Date: [^\r]*\r\n")


@pytest.fixture(scope="module")
def environ(server_url: str, module_prefix: str) -> dict[str, str]:
    """The settings of an installation with one worker and without limits, whose answers would count."""
    deployed_settings(server_url, module_prefix)
    return environment(
        COUCHDB_URL=server_url,
        DREAMSCRIPT_DATABASE_PREFIX=module_prefix,
        DREAMSCRIPT_SECRET_KEY=SECRET,
        DREAMSCRIPT_WORKERS="1",
        DREAMSCRIPT_RATE_LIMIT="off",
        DREAMSCRIPT_DEADLINE="30",
    )


@pytest.fixture(scope="module")
def key(environ: dict[str, str]) -> str:
    """A key that may read and write."""
    made = command("keys", "create", "live", "--scope", "documents:read", "documents:write", "--json", environ=environ)
    text: str = json.loads(made.stdout)["key"]
    return text


@pytest.fixture(scope="module")
def live(environ: dict[str, str]) -> Iterator[Live]:
    """A running service."""
    with Live("serve", environ) as running:
        yield running


@pytest.fixture(scope="module")
def hot(live: Live, key: str) -> str:
    """The path of a document that is answered from memory."""
    path = f"/documents/{live.request('POST', '/documents', key, {'title': 'Hot'})[1]['id']}"

    def is_hot() -> bool:
        live.request("GET", path, key)
        last = live.wait_for(lambda: [line for line in live.events() if line.get("method") == "GET"])[-1]
        return bool(last.get("cache") == "hit")

    wait_until(is_hot)
    return path


def sent(path: str, live: Live, key: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """Return a request whose answer is the same each time."""
    lines = [f"{method} {path} HTTP/{version}", f"Host: {live.address}", f"X-API-Key: {key}", "X-Request-ID: same"]
    return ("\r\n".join([*lines, *headers]) + "\r\n\r\n").encode()


def talk(live: Live, *pieces: bytes) -> bytes:
    """Return all that comes back, less its dates, on a connection that the last piece asks to be closed."""
    host, port = live.address.split(":")
    received = b""
    with socket.create_connection((host, int(port)), PATIENCE) as client:
        for piece in pieces:
            client.sendall(piece)
        while more := client.recv(65536):
            received += more
    return DATE.sub(b"", received)


@pytest.mark.parametrize("headers", [(), ('If-None-Match: "other"',), ("If-None-Match: *",)])
def test_an_answer_is_the_same_whichever_way_it_comes(live: Live, key: str, hot: str, headers: tuple[str, ...]) -> None:
    """A header that says nothing new has a request go the usual way."""
    end = sent("/livez", live, key, "Connection: close")
    express = talk(live, sent(hot, live, key, *headers) + end)
    usual = talk(live, sent(hot, live, key, *headers, "Accept: application/json;q=0.9") + end)
    assert express == usual
    assert express.count(b"HTTP/1.1 ") == 2


def test_answers_come_in_the_order_of_the_requests(live: Live, key: str, hot: str) -> None:
    """Hot reads wait for what was asked before them."""
    slow = sent("/documents?limit=1", live, key, "Cache-Control: no-cache")
    one = sent(hot, live, key)
    end = sent(hot, live, key, "Connection: close")
    received = talk(live, one + one + slow + one, one + slow + end)
    bodies = re.findall(rb"\r\n\r\n(\[?)\{\"id\"", received)
    assert bodies == [b"", b"", b"[", b"", b"", b"[", b""]
    assert received.count(b"Connection: close") == 1


@pytest.mark.parametrize("cut", [1, 20, -3])
def test_a_request_may_come_in_pieces(live: Live, key: str, hot: str, cut: int) -> None:
    one, end = sent(hot, live, key), sent(hot, live, key, "Connection: close")
    received = talk(live, one + one[:cut], one[cut:] + end)
    assert received.count(b'{"id":') == 3


def test_what_is_not_plain_goes_the_usual_way(live: Live, key: str, hot: str) -> None:
    end = sent("/livez", live, key, "Connection: close")
    assert talk(live, sent(hot, live, key, version="1.0")).startswith(b"HTTP/1.0 200 ")
    assert talk(live, sent(hot, live, key, "Host: other") + end).startswith(b"HTTP/1.1 400 ")
    assert talk(live, sent(hot, live, key, "X-API-Key: other") + end).startswith(b"HTTP/1.1 401 ")
    assert b'{"id":' not in talk(live, sent(hot, live, key, method="HEAD") + end)
    with_body = sent(hot, live, key, "Content-Length: 2") + b"{}"
    assert talk(live, with_body + end).count(b"HTTP/1.1 200 ") == 2

"""Requests are read strictly: framing, hosts, limits, versions and the order of responses."""

from __future__ import annotations

import json
import socket
from time import monotonic

import pytest

from app.server.protocol import HEAD_SECONDS, MAX_FIELD_BYTES, MAX_FIELDS, MAX_PIPELINED, MAX_TARGET_BYTES
from tests.server.live import Live
from tests.server.raw import RawClient, exchange, head, post

LIVEZ = head("GET", "/livez")


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /livez\r\n\r\n",
        head("GET", "/livez", version="9.9"),
        head("GET", "/livez", version="2.0"),
        head("GET", "/livez", "no colon"),
        head("GET", "/livez", "Bad Name: x"),
        head("GET", "/livez", "X-Zero: \0"),
        head("GET", "/livez", "X-Folded: a\r\n b"),
        head("GET", "/livez", host=None),
        head("GET", "/livez", "Host: x"),
        head("GET", "/livez", "Host: x", version="1.0"),
        head("GET", "/livez", "Host: y", host="x_y"),
        head("GET", "ftp://x/livez"),
        head("GET", "livez"),
        head("CONNECT", "x:80"),
        head("GET", "/livez", "Expect: 200-ok"),
        head("POST", "/documents", "Content-Length: x"),
        head("POST", "/documents", "Content-Length: +1"),
        head("POST", "/documents", "Content-Length: 1", "Content-Length: 2"),
        head("POST", "/documents", "Content-Length: 1", "Transfer-Encoding: chunked"),
        head("POST", "/documents", "Transfer-Encoding: gzip, chunked"),
        head("POST", "/documents", "Transfer-Encoding: gzip"),
        head("POST", "/documents", "Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        head("POST", "/documents", "Transfer-Encoding: chunked", version="1.0"),
    ],
)
def test_malformed_requests_are_400_in_the_error_shape(live: Live, content: bytes) -> None:
    response = exchange(live, content)
    assert (response.status, response.closes) == (400, True)
    assert set(response.json) == {"error", "reason", "request_id", "errors"}
    assert response.json["error"] == "bad_request"
    assert response.json["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("fits", "content"),
    [
        (True, head("GET", "/livez?" + "a" * (MAX_TARGET_BYTES - 7))),
        (False, head("GET", "/livez?" + "a" * (MAX_TARGET_BYTES - 6))),
        (True, head("GET", "/livez", "X-Long: " + "a" * (MAX_FIELD_BYTES - 6))),
        (False, head("GET", "/livez", "X-Long: " + "a" * (MAX_FIELD_BYTES - 5))),
        (True, head("GET", "/livez", *["X-Many: a"] * (MAX_FIELDS - 1))),
        (False, head("GET", "/livez", *["X-Many: a"] * MAX_FIELDS)),
    ],
)
def test_request_lines_and_headers_have_limits(live: Live, fits: bool, content: bytes) -> None:
    reason = exchange(live, content).json.get("reason", "")
    assert ("headers are too long" in reason) is not fits


def test_an_endless_header_is_refused_while_it_arrives(live: Live) -> None:
    def send() -> None:
        for _ in range(10_000):
            client.sendall(b"a" * 10_000)

    with RawClient(live) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nX-Long: ")
        with pytest.raises(ConnectionError):
            send()


@pytest.mark.parametrize(
    "body", [b"ZZ\r\n{}\r\n0\r\n\r\n", b"2\r\n{}XX0\r\n\r\n", b"-2\r\n{}\r\n0\r\n\r\n", b"5\r\n{}"]
)
def test_malformed_chunks_are_400(live: Live, key: str, body: bytes) -> None:
    response = exchange(live, post(key, None) + body)
    assert (response.status, response.json["error"], response.closes) == (400, "bad_request", True)


@pytest.mark.parametrize(
    "request_head",
    [
        head("GET", "/livez", "Origin: https://editor.example", "X: " + "x" * 9_000),
        head("GET", "/" + "x" * 9_000, "Origin: https://editor.example"),
        head("SPY", "/livez", "Origin: https://editor.example"),
        head("GET", "/livez", "Origin: https://editor.example", "Host: other"),
    ],
)
def test_a_page_can_read_that_its_request_is_not_http(live: Live, request_head: bytes) -> None:
    response = exchange(live, request_head)
    assert (response.status, response.headers["access-control-allow-origin"]) == (400, "*")


@pytest.mark.parametrize("path", ["/documents", "/documents/1", "/nope", "//", "*", "/metrics"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_preflight_request_needs_no_key(live: Live, path: str, version: str) -> None:
    lines = ("Origin: https://editor.example", "Access-Control-Request-Method: COPY")
    response = exchange(live, head("OPTIONS", path, *lines, version=version), "OPTIONS")
    assert (response.status, response.headers["access-control-max-age"]) == (204, "7200")
    assert "COPY" in response.headers["access-control-allow-methods"]


def test_a_body_that_ends_early_is_not_stored(live: Live, key: str) -> None:
    before = live.request("GET", "/documents?limit=1000", key)[1]
    response = exchange(live, post(key, 100) + b'{"title": "cut"}')
    assert (response.status, response.json["error"]) == (400, "bad_request")
    assert live.request("GET", "/documents?limit=1000", key)[1] == before


def test_trailers_and_names_with_underscores_are_not_headers(live: Live, key: str) -> None:
    trailer = f"2\r\n{{}}\r\n0\r\nX-API-Key: {key}\r\n\r\n".encode()
    assert exchange(live, post(None, None) + trailer).status == 401
    assert exchange(live, head("GET", "/documents", f"X_API_Key: {key}")).status == 401
    assert exchange(live, head("GET", "/livez", "SCRIPT_NAME: /documents")).status == 200


def test_spaces_around_a_value_are_not_part_of_it(live: Live, key: str) -> None:
    fields = (f"X-API-Key: \t{key} \t", "X-Request-ID:a-request  ", "Connection: close ")
    response = exchange(live, head("GET", "/documents?limit=1", *fields, host="x "))
    assert (response.status, response.headers["x-request-id"]) == (200, "a-request")
    chunked = post(key, None).replace(b"chunked", b"chunked ") + b'd\r\n{"title":"x"}\r\n0\r\n\r\n'
    assert exchange(live, chunked).status == 201


@pytest.mark.parametrize("host", ["app_server", "x:8000", "a.b-c~d", "xn--bcher-kva.example:8443", "[::1]:80", "x:"])
def test_any_legal_host_is_accepted_and_links_name_it(live: Live, key: str, host: str) -> None:
    for _ in range(2):
        live.request("POST", "/documents", key, {"title": "on two pages"})
    request = head("GET", "/documents?limit=1", f"X-API-Key: {key}", host=host)
    response = exchange(live, request)
    assert response.status == 200
    assert response.headers["x-next"].startswith(f"http://{host.removesuffix(':80').removesuffix(':')}/documents?")


@pytest.mark.parametrize("host", ["", "a b", "a/b", "b\xfccher", "user@x", "x:port", "[::1", "x%2"])
def test_an_illegal_host_is_400(live: Live, key: str, host: str) -> None:
    response = exchange(live, head("GET", "/documents", f"X-API-Key: {key}", host=host))
    assert (response.status, response.json["error"]) == (400, "bad_request")


@pytest.mark.parametrize("host", [None, "x"])
def test_http_1_0_keeps_a_connection_if_asked(live: Live, host: str | None) -> None:
    with RawClient(live) as client:
        for _ in range(2):
            client.sendall(head("GET", "/livez", "Connection: keep-alive", version="1.0", host=host))
            response = client.response()
            assert (response.status, response.headers["connection"]) == (200, "keep-alive")
        client.sendall(head("GET", "/livez", version="1.0", host=host))
        assert client.response().closes
        assert client.rest() == b""


def test_http_1_0_gets_no_100_continue(live: Live, key: str) -> None:
    lines = ("Content-Type: application/json", f"X-API-Key: {key}", "Expect: 100-continue", "Content-Length: 14")
    with RawClient(live) as client:
        client.sendall(head("POST", "/documents", *lines, version="1.0"))
        client.sendall(b'{"title": "x"}')
        assert client.response().status == 201


@pytest.mark.parametrize("target", ["http://x", "HTTP://y/", "https://y?a=b", "/#fragment"])
def test_other_forms_of_a_target(live: Live, target: str) -> None:
    response = exchange(live, head("GET", target))
    assert response.status == (400 if "?" in target else 200)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("host", ["public.example", "[::1]:8080"])
def test_the_host_of_an_absolute_target_replaces_the_header(live: Live, host: str, version: str) -> None:
    response = exchange(live, head("GET", f"http://{host}/", version=version))
    assert response.json["links"]["documents"] == f"http://{host}/documents"


@pytest.mark.parametrize("target", ["http:///", "http://u:p@x/", "http://a b/"])
def test_an_absolute_target_without_a_legal_host_is_400(live: Live, target: str) -> None:
    assert exchange(live, head("GET", target)).status == 400


def test_responses_come_in_the_order_of_the_requests(live: Live, key: str) -> None:
    body = json.dumps({"title": "first"}).encode()
    slow = head("GET", "/documents?limit=1", f"X-API-Key: {key}", "Cache-Control: no-cache")
    with RawClient(live) as client:
        client.sendall(
            post(key, len(body)) + body + head("HEAD", "/livez") + slow + head("GET", "/nowhere") + LIVEZ[:9]
        )
        client.sendall(LIVEZ[9:] + b"garbage\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        methods = ("POST", "HEAD", "GET", "GET", "GET", "GET")
        assert [client.response(method).status for method in methods] == [201, 200, 200, 404, 200, 400]
        assert client.rest() == b""


def test_a_malformed_body_is_refused_in_its_turn(live: Live, key: str) -> None:
    with RawClient(live) as client:
        client.sendall(LIVEZ + post(key, None) + b"ZZ\r\n")
        assert [client.response().status for _ in range(2)] == [200, 400]
        assert client.rest() == b""


def test_pipelined_requests_have_a_limit(live: Live) -> None:
    with RawClient(live) as client:
        client.sendall(LIVEZ * (2 * MAX_PIPELINED))
        statuses = [client.response().status for _ in range(MAX_PIPELINED)]
        assert set(statuses) == {200}
        assert client.rest().endswith(b"}\n")


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
def test_offers_to_upgrade_are_ignored(live: Live, key: str, upgrade: str) -> None:
    """Java's HttpClient sends such an offer with each first request, POST included."""
    offer = (f"Upgrade: {upgrade}", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__")
    body = json.dumps({"title": "upgrade"}).encode()
    with RawClient(live) as client:
        client.sendall(head("GET", "/livez", *offer) + post(key, len(body), *offer) + body[:9])
        client.sendall(body[9:] + post(key, None, *offer) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) + LIVEZ)
        assert [client.response().status for _ in range(4)] == [200, 201, 201, 200]


def test_a_connection_stays_open_after_responses_without_a_body(live: Live) -> None:
    with RawClient(live) as client:
        for method, expected in (("HEAD", 200), ("OPTIONS", 204), ("GET", 200), ("HEAD", 200)):
            client.sendall(head(method, "/livez"))
            assert client.response(method).status == expected


@pytest.mark.parametrize("start", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n", b"\r\n"])
def test_headers_must_arrive_in_time(live: Live, start: bytes) -> None:
    began = monotonic()
    with RawClient(live) as client:
        client.sendall(start)
        assert client.rest() == b""
    assert monotonic() - began > HEAD_SECONDS - 0.5

"""No server outlives the deadline of a request, whatever it does meanwhile, with TLS or without."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.couch.connection import AnswerLost, Connection, DatabaseError, Unreachable
from tests.couch.misbehaving_server import (
    CERTIFICATE,
    Behaviour,
    MisbehavingServer,
    answer,
    hang,
    reply,
    sluggishly,
    trickle,
)

pytestmark = pytest.mark.nodatabase

# Seconds: what a request is given, and what the slowest machine may need to notice. A server without its deadline
# goes on for longer than that.
TIMEOUT, GENEROUS = 0.3, 8.0
BODY = "x" * 2**25


@pytest.fixture(params=[False, True], ids=["plain", "TLS"])
def tls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    found: bool = request.param
    return found


@contextmanager
def in_time() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < GENEROUS


def test_tls_works(tls: bool) -> None:
    with MisbehavingServer(answer(200, {"a": 1}), tls=tls) as server:
        connection = Connection(server.url)
        assert [connection.put("db", body=[BODY[:100_000]]).body for _ in range(2)] == [{"a": 1}] * 2
        connection.close()
    assert [request.connection for request in server.requests] == [0, 0]


def test_a_certificate_is_checked() -> None:
    with (
        MisbehavingServer(answer(200), tls=True) as server,
        pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        Connection(server.url).get()
    assert server.requests == []


@pytest.mark.parametrize(
    "behaviour",
    [
        hang,
        trickle(b"H"),
        trickle(b"HTTP/1.1 200 OK\r\n"),
        trickle(reply(200)[:-2] + b"Content-Length: 1000000\r\n\r\n"),
        trickle(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 10_000),
        trickle(b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silence", "status line", "headers", "body", "chunks", "promises"],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_an_answer_in_bytes_and_silences_ends_in_time(behaviour: Behaviour, method: str, tls: bool) -> None:
    with MisbehavingServer(behaviour, tls=tls) as server:
        with in_time(), pytest.raises(AnswerLost) as caught:
            Connection(server.url, timeout=TIMEOUT).request(method, "db")
        assert isinstance(caught.value.__cause__, TimeoutError)
    # What took too long is not asked for again, even if it was only a read.
    assert len(server.requests) == 1


def test_a_body_that_is_taken_in_sips_ends_in_time(tls: bool) -> None:
    with MisbehavingServer(answer(200), tls=tls, take=sluggishly) as server:
        connection = Connection(server.url, timeout=30)
        connection.get("warm")
        with in_time(), pytest.raises(AnswerLost):
            connection.put("db", "x", body=BODY, timeout=TIMEOUT)
        connection.close()


def test_a_handshake_that_does_not_come_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, in_time(), pytest.raises(Unreachable):
        Connection(f"https://127.0.0.1:{silent.getsockname()[1]}", timeout=TIMEOUT).put("db")


def test_a_connection_that_is_not_taken_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        with in_time(), pytest.raises(Unreachable):
            Connection(f"http://127.0.0.1:{full.getsockname()[1]}", timeout=TIMEOUT).put("db")
        for sock in waiting:
            sock.close()


def test_several_addresses_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def create(_: object, timeout: float) -> socket.socket:
        given.append(timeout)
        raise OSError("nobody there")

    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 5984))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address] * 3)
    monkeypatch.setattr(socket, "create_connection", create)
    with pytest.raises(Unreachable, match="OSError"):
        Connection("http://database", timeout=30).get()
    assert len(given) == 3
    assert given == sorted(given, reverse=True)
    assert given[0] > given[2]


@pytest.mark.parametrize("timeout", [0, -1.0])
def test_without_time_nothing_is_sent(timeout: float) -> None:
    with MisbehavingServer(answer(200)) as server:
        connection = Connection(server.url, timeout=30)
        connection.get("warm")
        with pytest.raises(Unreachable):
            connection.put("db", "x", body={}, timeout=timeout)
        connection.close()
    assert [request.target for request in server.requests] == ["/warm"]


def test_a_deadline_is_for_one_request_only() -> None:
    with MisbehavingServer(answer(200), hang, answer(200)) as server:
        connection = Connection(server.url, timeout=30)
        connection.get("db")
        with in_time(), pytest.raises(DatabaseError):
            connection.put("db", timeout=TIMEOUT)
        assert connection.get("db").status == 200
        connection.close()
    assert [request.connection for request in server.requests] == [0, 0, 1]

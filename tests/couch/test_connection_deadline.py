"""Check that a request ends at its deadline with any behaviour of the server, with and without TLS."""

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
    slowly,
    trickle,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.nodatabase

# The timeout of a request, and the time for a slow machine to notice it. The servers here continue for longer.
TIMEOUT_SECONDS, MAX_SECONDS = 0.3, 30.0
BODY = "x" * 2**25


@pytest.fixture(params=[False, True], ids=["plain", "TLS"])
def tls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    return bool(request.param)


@contextmanager
def in_time() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < MAX_SECONDS


def test_tls_works(tls: bool) -> None:
    with MisbehavingServer(answer(200, {"a": 1}), tls=tls) as server:
        connection = Connection(server.url, timeout=30)
        assert [connection.put("db", body=[BODY[:100_000]]).body for _ in range(2)] == [{"a": 1}] * 2
        connection.close()
    assert [request.connection for request in server.requests] == [0, 0]


def test_a_certificate_is_checked() -> None:
    with (
        MisbehavingServer(answer(200), tls=True) as server,
        pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        Connection(server.url, timeout=30).get()
    assert server.requests == []


@pytest.mark.parametrize(
    "behaviour",
    [
        hang,
        trickle(b"HTTP/1.1 200 " + b"O" * 10_000),
        trickle(b"HTTP/1.1 200 OK\r\n"),
        trickle(reply(200)[:-2] + b"Content-Length: 1000000\r\n\r\n"),
        trickle(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 10_000),
        trickle(b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silence", "status line", "headers", "body", "chunks", "promises"],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_slow_answer_ends_at_the_deadline(behaviour: Behaviour, method: str, tls: bool) -> None:
    with MisbehavingServer(answer(200), behaviour, tls=tls) as server:
        connection = Connection(server.url, timeout=30)
        # The handshake takes long on a busy machine, so it ends before the short timeout begins.
        connection.get("warm")
        with in_time(), pytest.raises(AnswerLost) as caught:
            connection.request(method, "db", timeout=TIMEOUT_SECONDS)
        connection.close()
        assert isinstance(caught.value.__cause__, TimeoutError)
        wait_until(lambda: len(server.requests) == 2)
    # Even a read is not sent again after its deadline.
    assert [request.target for request in server.requests] == ["/warm", "/db"]


def test_a_body_that_is_read_slowly_ends_at_the_deadline(tls: bool) -> None:
    with MisbehavingServer(answer(200), tls=tls, take=slowly) as server:
        connection = Connection(server.url, timeout=30)
        connection.get("warm")
        with in_time(), pytest.raises(AnswerLost):
            connection.put("db", "x", body=BODY, timeout=TIMEOUT_SECONDS)
        connection.close()


def test_a_missing_handshake_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, in_time(), pytest.raises(Unreachable):
        Connection(f"https://127.0.0.1:{silent.getsockname()[1]}", timeout=TIMEOUT_SECONDS).put("db")


def test_a_connection_that_is_not_accepted_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        with in_time(), pytest.raises(Unreachable):
            Connection(f"http://127.0.0.1:{full.getsockname()[1]}", timeout=TIMEOUT_SECONDS).put("db")
        for sock in waiting:
            sock.close()


def test_several_addresses_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts: list[float] = []

    def create(_: object, timeout: float) -> socket.socket:
        timeouts.append(timeout)
        raise OSError("no server")

    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 5984))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address] * 3)
    monkeypatch.setattr(socket, "create_connection", create)
    with pytest.raises(Unreachable, match="OSError"):
        Connection("http://database", timeout=30).get()
    assert len(timeouts) == 3
    assert timeouts == sorted(timeouts, reverse=True)
    assert timeouts[0] > timeouts[2]


@pytest.mark.parametrize("timeout", [0, -1.0])
def test_nothing_is_sent_after_the_deadline(timeout: float) -> None:
    with MisbehavingServer(answer(200)) as server:
        connection = Connection(server.url, timeout=30)
        connection.get("warm")
        with pytest.raises(Unreachable):
            connection.put("db", "x", body={}, timeout=timeout)
        connection.close()
    assert [request.target for request in server.requests] == ["/warm"]


def test_a_deadline_applies_to_one_request() -> None:
    with MisbehavingServer(answer(200), hang, answer(200)) as server:
        connection = Connection(server.url, timeout=30)
        connection.get("db")
        with in_time(), pytest.raises(DatabaseError):
            connection.put("db", timeout=TIMEOUT_SECONDS)
        wait_until(lambda: len(server.requests) == 2)
        assert connection.get("db").status == 200
        connection.close()
    assert [request.connection for request in server.requests] == [0, 0, 1]

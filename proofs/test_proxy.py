"""The fault proxy: the effect of each fault on a client, and whether the request reaches the server."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

from app.local_couchdb.process import poll
from app.local_couchdb.wire import request as ask
from proofs import faults
from proofs.proxy import PASS, Fault, Proxy, Request, by_seed, writes
from proofs.test_http_messages import CHUNKED
from tests.couch.misbehaving_server import Behaviour, MisbehavingServer, answer, reply, send

nodatabase = pytest.mark.nodatabase

# The longest wait for a client or the server; the proxy waits for longer.
CLIENT_SECONDS = 30
BODY = {"ok": True, "id": "a", "rev": "1-a"}


@contextmanager
def proxied(*behaviours: Behaviour) -> Iterator[tuple[Proxy, MisbehavingServer]]:
    """Yield a proxy in front of a server with these behaviours."""
    with MisbehavingServer(*behaviours) as server, Proxy(server.url) as proxy:
        yield proxy, server


@contextmanager
def client(proxy: Proxy, seconds: float = CLIENT_SECONDS) -> Iterator[http.client.HTTPConnection]:
    """Yield a plain connection to the proxy."""
    with closing(http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=seconds)) as connection:
        yield connection


def put(connection: http.client.HTTPConnection) -> tuple[int, bytes]:
    """Send a write and return the answer."""
    connection.request("PUT", "/db/a", b'{"title": "a"}', {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read()


def failure(connection: http.client.HTTPConnection) -> BaseException:
    """Send a write, and return how it fails."""
    with pytest.raises((OSError, http.client.HTTPException)) as caught:
        put(connection)
    connection.close()
    return caught.value


@nodatabase
def test_an_exchange_passes_as_it_is_and_connections_last() -> None:
    behaviours = answer(201, BODY), send(CHUNKED), send(reply(204)), answer(200, BODY)
    with proxied(*behaviours) as (proxy, server), client(proxy) as connection:
        assert put(connection) == (201, server_answer())
        assert put(connection) == (201, b'{"a": 1}')
        assert put(connection) == (204, b"")
        connection.request("GET", "/db/a?x=1")
        assert connection.getresponse().read() == server_answer()
    assert [request.target for request in server.requests] == ["/db/a"] * 3 + ["/db/a?x=1"]
    assert server.requests[0].body == b'{"title": "a"}'
    assert proxy.counts == {"pass": 4}


def server_answer() -> bytes:
    return b'{"ok": true, "id": "a", "rev": "1-a"}'


@nodatabase
def test_an_answer_is_handed_on_as_it_comes() -> None:
    unended = send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
    with proxied(unended) as (proxy, server), client(proxy) as connection:
        connection.request("GET", "/db/_changes?feed=continuous")
        assert connection.getresponse().read(2) == b"{}"
        connection.close()
        assert server.gone.acquire(timeout=CLIENT_SECONDS), "the server did not notice that its client had left"


@nodatabase
@pytest.mark.parametrize(
    ("fault", "failures", "committed"),
    [
        (faults.CUT_BEFORE, http.client.RemoteDisconnected, False),
        (faults.RESET_BEFORE, ConnectionResetError, False),
        (faults.CUT_AFTER, http.client.RemoteDisconnected, True),
        (faults.CUT_WITHIN, http.client.IncompleteRead, True),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_an_answer_that_is_lost(fault: Fault, failures: type[Exception], committed: bool) -> None:
    with proxied(answer(201, BODY)) as (proxy, server), client(proxy) as connection:
        with proxy.doing(fault):
            assert isinstance(failure(connection), failures)
        assert len(server.requests) == committed
        assert put(connection)[0] == 201
    assert proxy.counts == {fault.name: 1, "pass": 1}


@nodatabase
def test_headers_that_are_cut_look_like_an_answer_without_a_body() -> None:
    """http.client accepts them; the store rejects an empty body, which is not JSON."""
    with proxied(answer(201, BODY)) as (proxy, server), client(proxy) as connection:
        with proxy.doing(faults.CUT_HEADERS):
            assert put(connection) == (201, b"")
        assert len(server.requests) == 1


@nodatabase
@pytest.mark.parametrize("fault", faults.CORRUPT, ids=lambda fault: fault.name)
def test_a_corrupted_answer_differs_and_the_request_reached_the_server(fault: Fault) -> None:
    with proxied(answer(201, BODY)) as (proxy, server), client(proxy) as connection:
        with proxy.doing(fault):
            host, port = urlsplit(proxy.url).netloc.split(":")
            with socket.create_connection((host, int(port)), CLIENT_SECONDS) as sock:
                sock.sendall(b"PUT /db/a HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
                with sock.makefile("rb") as reader:
                    seen = reader.read()
        assert seen not in (b"", reply(201, server_answer(), "Content-Type: application/json"))
        assert len(server.requests) == 1
        assert put(connection) == (201, server_answer())


@nodatabase
@pytest.mark.parametrize("fault", faults.HARMLESS, ids=lambda fault: fault.name)
def test_a_wrong_header_leaves_the_answer_readable(fault: Fault) -> None:
    with proxied(answer(201, BODY)) as (proxy, _), client(proxy) as connection, proxy.doing(fault):
        connection.request("PUT", "/db/a", b"{}")
        response = connection.getresponse()
        assert (response.status, response.read()) == (201, server_answer())
        assert response.headers["Content-Type"] != "application/json"


@nodatabase
@pytest.mark.parametrize(
    "fault", [faults.HANG, faults.STALL, faults.delay(CLIENT_SECONDS)], ids=lambda fault: fault.name
)
def test_a_held_request_continues_when_the_fault_is_lifted(fault: Fault) -> None:
    answers: list[tuple[int, bytes]] = []
    with proxied(answer(201, BODY)) as (proxy, server), client(proxy) as connection:
        asking = threading.Thread(target=lambda: answers.append(put(connection)))
        with proxy.doing(fault):
            asking.start()
            assert poll(lambda: proxy.counts[fault.name], CLIENT_SECONDS)
            if fault is faults.STALL:
                assert poll(lambda: server.requests, CLIENT_SECONDS)
            else:
                assert server.requests == []
            assert answers == []
        asking.join(CLIENT_SECONDS)
    assert answers == [(201, server_answer())]


@nodatabase
@pytest.mark.parametrize(("fault", "committed"), [(faults.HANG, 0), (faults.STALL, 1)], ids=["hang", "stall"])
def test_a_client_that_leaves_a_held_request_is_dropped(fault: Fault, committed: int) -> None:
    with proxied(answer(201, BODY)) as (proxy, server):
        with proxy.doing(fault):
            with client(proxy, 0.1) as connection:
                assert isinstance(failure(connection), TimeoutError)
            assert poll(lambda: len(server.requests) == committed, CLIENT_SECONDS)
            # The thread of that client ends before its fault is lifted.
            assert poll(lambda: not clients(proxy), CLIENT_SECONDS)
        assert len(server.requests) == committed


def clients(proxy: Proxy) -> int:
    """Return how many connections the proxy holds."""
    return len(proxy._listener._clients)


@nodatabase
def test_a_delay_has_its_length() -> None:
    with proxied(answer(201, BODY)) as (proxy, _), client(proxy) as connection, proxy.doing(faults.delay(0.3)):
        started = time.monotonic()
        assert put(connection)[0] == 201
    assert time.monotonic() - started >= 0.3


@nodatabase
@pytest.mark.parametrize(("accepting", "seen"), [(False, ConnectionRefusedError), (True, ConnectionError)])
def test_connections_are_refused_or_ended_while_it_is_down(accepting: bool, seen: type[Exception]) -> None:
    with proxied(answer(201, BODY)) as (proxy, server), client(proxy) as connection:
        assert put(connection)[0] == 201
        with proxy.down(accepting=accepting):
            assert isinstance(failure(connection), ConnectionError)
            assert isinstance(failure(connection), seen)
        assert put(connection)[0] == 201
    assert len(server.requests) == 2


@nodatabase
def test_a_database_that_is_down_ends_the_connection() -> None:
    with MisbehavingServer(answer(201, BODY)) as server:
        pass
    with Proxy(server.url) as proxy, client(proxy) as connection:
        assert isinstance(failure(connection), ConnectionError)


@nodatabase
def test_a_filter_passes_other_requests() -> None:
    reads = (("GET", "/db/a"), ("POST", "/db/_all_docs?x=1"), ("POST", "/db/_design/a/_view/b"))
    with proxied(answer(200, BODY)) as (proxy, server), client(proxy) as connection:
        with proxy.doing(faults.CUT_BEFORE, only=writes):
            for method, target in reads:
                connection.request(method, target, b"{}")
                assert connection.getresponse().read() == server_answer()
            assert isinstance(failure(connection), ConnectionError)
        assert len(server.requests) == len(reads)


WEIGHTS = {faults.CUT_BEFORE: 0.2, faults.CUT_AFTER: 0.3}
WRITE, READ = Request("PUT", "/db/a", b""), Request("GET", "/db/a", b"")


@nodatabase
def test_a_seed_repeats_its_faults_independently_of_reads() -> None:
    one, same, other = (by_seed(seed, WEIGHTS, writes) for seed in (1, 1, 2))
    drawn = [one(WRITE).name for _ in range(1000)]
    assert drawn == [same(request).name for _ in range(1000) for request in (WRITE, READ)][::2]
    assert drawn != [other(WRITE).name for _ in range(1000)]
    for fault, share in {**WEIGHTS, PASS: 0.5}.items():
        assert drawn.count(fault.name) / 1000 == pytest.approx(share, abs=0.08)


def test_a_cut_after_the_commit_is_stored_and_a_cut_before_it_is_not(server_url: str, prefix: str) -> None:
    database = f"/{prefix}-meta"
    with Proxy(server_url) as proxy:
        assert ask(proxy.url, "PUT", database)[0] in (201, 202)
        for fault in (faults.CUT_BEFORE, faults.CUT_AFTER, faults.CORRUPT[0]):
            name = f"{database}/{fault.name.replace(' ', '-')}"
            with proxy.doing(fault), pytest.raises((http.client.HTTPException, OSError)):
                ask(proxy.url, "PUT", name, {"title": "é"})
            assert (ask(proxy.url, path=name)[0] == 200) == (fault is not faults.CUT_BEFORE)
            assert ask(proxy.url, path=name) == ask(server_url, path=name)

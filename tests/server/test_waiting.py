"""Clients that wait, dawdle or leave cost others nothing, and all get an answer after the deadline."""

from __future__ import annotations

import json
import resource
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from app.server.wsgi_bridge import THREADS
from tests.couch.misbehaving_server import MisbehavingServer, hang
from tests.server.live import Live
from tests.server.raw import RawClient, exchange, head, post
from tests.waiting import MAX_WAIT_SECONDS, wait_until

IDLE_CONNECTIONS = 1_000
# For the connections here and in the services, which inherit the limit.
DESCRIPTORS = 2_500
DEADLINE_SECONDS = KEEP_ALIVE_SECONDS = 1

BODY = json.dumps({"title": "slow", "content": "x" * 100_000}).encode()


@pytest.fixture(scope="module", autouse=True)
def _descriptors() -> Iterator[None]:
    """Raise the limit of open files for the tests."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        pytest.skip(f"this machine lets a process open {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def overrides() -> dict[str, str]:
    """One worker, and a deadline that no test reaches."""
    return {"DREAMSCRIPT_WORKERS": "1", "DREAMSCRIPT_DEADLINE": str(MAX_WAIT_SECONDS)}


@pytest.fixture(scope="module")
def hasty(environ: dict[str, str]) -> Iterator[Live]:
    """A service with a deadline of a second, which closes idle connections after another."""
    short = {"DREAMSCRIPT_DEADLINE": str(DEADLINE_SECONDS), "DREAMSCRIPT_KEEP_ALIVE": str(KEEP_ALIVE_SECONDS)}
    with Live("serve", {**environ, **short}) as running:
        yield running


def test_a_database_that_hangs_is_503_for_requests_with_and_without_a_thread(environ: dict[str, str]) -> None:
    with MisbehavingServer(hang) as database, ExitStack() as stack:
        settings = {**environ, "COUCHDB_URL": database.url, "DREAMSCRIPT_DEADLINE": str(DEADLINE_SECONDS)}
        live = stack.enter_context(Live("serve", settings))
        clients = [stack.enter_context(RawClient(live)) for _ in range(100)]
        for client in clients:
            client.sendall(head("GET", "/readyz"))
        responses = [client.response() for client in clients]
        lines = live.wait_for(lambda: [e for e in live.events() if e.get("status") == 503][99:] and live.events())
    assert Counter(response.status for response in responses) == {503: 100}
    assert all(response.json["error"] == "unavailable" and "retry-after" in response.headers for response in responses)
    unrun = [line for line in lines if line.get("status") == 503 and "route" not in line]
    assert len(unrun) <= 100 - THREADS


def test_slow_uploads_delay_nobody_and_are_all_stored(live: Live, key: str) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(live)) for _ in range(3 * THREADS)]
        for at in range(0, len(BODY), 40_000):
            for client in clients:
                client.sendall((post(key, len(BODY)) if at == 0 else b"") + BODY[at : at + 40_000])
            assert live.request("GET", "/documents?limit=1", key)[0] == 200
        assert Counter(client.response().status for client in clients) == {201: len(clients)}


@pytest.mark.parametrize("length", [1_000, None])
@pytest.mark.parametrize("pause", [0.3, 0.003])
def test_dripping_bodies_end_at_the_deadline(hasty: Live, key: str, length: int | None, pause: float) -> None:
    # The service remembers the key, so that the requests below spend no time on it.
    hasty.request("GET", "/documents?limit=1", key)
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(hasty)) for _ in range(3 * THREADS)]
        started = time.monotonic()
        for client in clients:
            client.sendall(post(key, length))
        while time.monotonic() - started < DEADLINE_SECONDS - 0.1:
            for client in clients:
                client.sendall(b" " if length else b"1\r\n \r\n")
            assert hasty.request("GET", "/livez")[0] == 200
            time.sleep(pause)
        # Without a deadline there would be no response, since no body has an end.
        responses = [client.response() for client in clients]
        assert time.monotonic() - started > DEADLINE_SECONDS - 0.1
    # The response is 503 if a busy service takes more than half of the time before it reads the body.
    assert {(400, True)} <= {(response.status, response.closes) for response in responses} <= {(400, True), (503, True)}


@pytest.mark.parametrize(
    ("status", "request_head"),
    [
        (401, post(None, 1_000_000)),
        (401, post("ds_live_unknown", None)),
        (404, head("POST", "/nowhere", "Content-Length: 1000000")),
        (405, head("PUT", "/documents", "Content-Length: 1000000")),
        (413, post("KEY", 2**20 + 1)),
        (413, post("KEY", 8 * 2**20 + 1, path="/documents/batch")),
        (415, head("POST", "/documents", "X-API-Key: KEY", "Content-Type: text/plain", "Content-Length: 1000000")),
        (415, head("COPY", "/documents/1", "X-API-Key: KEY", "Content-Type: text/plain", "Content-Length: 1000000")),
        (413, post("KEY", 2**20 + 1, path="/documents/1/copy")),
    ],
)
@pytest.mark.parametrize("expectation", [b"", b"Expect: 100-continue\r\n"])
def test_headers_decide_before_the_body_is_read(
    live: Live, key: str, status: int, request_head: bytes, expectation: bytes
) -> None:
    with RawClient(live) as client:
        client.sendall(request_head.replace(b"KEY", key.encode())[:-2] + expectation + b"\r\n")
        response = client.response()
        assert (response.status, response.closes) == (status, True)
        assert client.rest() == b""


def test_100_continue_comes_once_the_headers_are_accepted(live: Live, key: str) -> None:
    body = json.dumps({"title": "continue"}).encode()
    with RawClient(live) as client:
        client.sendall(post(key, len(body), "Expect: 100-continue"))
        assert client.response().status == 100
        client.sendall(body)
        assert client.response().status == 201


@pytest.mark.parametrize("size", [2 * 2**20, 9 * 2**20])
def test_a_client_that_sends_everything_first_sees_the_413(live: Live, key: str, size: int) -> None:
    body = json.dumps({"title": "large", "content": "x" * size}).encode()
    with RawClient(live) as client:
        client.sendall(post(key, len(body)) + body)
        assert client.response().status == 413


def test_a_chunked_body_is_read_and_bounded(live: Live, key: str) -> None:
    for size, status in ((100, 201), (2**20, 413)):
        body = json.dumps({"title": "chunked", "content": "x" * size}).encode()
        with RawClient(live) as client:
            client.sendall(post(key, None) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
            assert client.response().status == status


def test_a_batch_of_8_mib_passes(live: Live, key: str) -> None:
    operations = [{"op": "create", "value": {"title": str(n), "content": "x" * 1_000_000}} for n in range(8)]
    status, outcome = live.request("POST", "/documents/batch", key, {"operations": operations})
    assert status == 200
    assert [each["status"] for each in outcome["outcomes"]] == [201] * 8


def test_idle_connections_delay_nobody(live: Live, key: str) -> None:
    with ExitStack() as stack:
        clients = []
        for number in range(IDLE_CONNECTIONS):
            clients.append(stack.enter_context(RawClient(live)))
            if number % 2 == 0:  # At once, since a connection without a request is soon closed.
                clients[-1].sendall(head("GET", "/livez"))
        assert live.request("GET", "/documents?limit=1", key)[0] == 200
        assert {client.response().status for client in clients[::2]} == {200}
        assert live.request("GET", "/documents?limit=1", key)[0] == 200


def test_an_idle_connection_is_kept_as_long_as_is_set(hasty: Live) -> None:
    with RawClient(hasty) as client:
        sent = time.monotonic()
        client.sendall(head("GET", "/livez"))
        assert client.response().status == 200
        assert client.rest() == b""
    assert time.monotonic() - sent > KEEP_ALIVE_SECONDS - 0.1


def test_idle_connections_do_not_delay_the_end(environ: dict[str, str]) -> None:
    """Requests in flight could take a minute."""
    with Live("serve", environ) as live, RawClient(live), RawClient(live) as used:
        used.sendall(head("GET", "/livez"))
        assert used.response().status == 200
        started = time.monotonic()
        live.signal(signal.SIGTERM)
        assert live.wait() == 0
        assert time.monotonic() - started < MAX_WAIT_SECONDS / 4


def test_a_client_that_leaves_does_not_take_its_write_along(live: Live, key: str) -> None:
    body = json.dumps({"title": "left behind"}).encode()
    for cut in (len(body), 5):
        with RawClient(live) as client:
            client.sendall(post(key, len(body)) + body[:cut])

    def stored() -> list[str]:
        rows = live.request("GET", "/documents?order=desc", key)[1]
        return [row for row in rows if row["title"] == "left behind"]

    wait_until(stored)
    live.wait_for(lambda: [e for e in live.events() if e.get("route") == "/documents" and e.get("status") == 400])
    assert len(stored()) == 1
    assert not [line for line in live.logged if "Traceback" in line]


def test_unread_responses_cost_bounded_memory(live: Live, key: str) -> None:
    """Each of the clients asks for 400 MB, and reads nothing."""
    created = live.request("POST", "/documents", key, {"title": "large", "content": "x" * 1_000_000})[1]
    request = head("GET", f"/documents/{created['id']}", f"X-API-Key: {key}")
    pid = next(event["pid"] for event in live.events() if event["message"] == "worker started")

    def resident_mib() -> float:
        with open(f"/proc/{pid}/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize() / 2**20

    exchange(live, request)
    before = resident_mib()
    with ExitStack() as stack:
        for _ in range(20):
            client = RawClient(live)
            stack.enter_context(client)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(4):
                client.sendall(request * 90)
        assert live.request("GET", "/livez")[0] == 200
        time.sleep(1)
        assert resident_mib() - before < 150

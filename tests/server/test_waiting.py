"""Clients that wait, dawdle or leave cost the others nothing, and all are answered in time."""

from __future__ import annotations

import json
import resource
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from app.local_couchdb.process import poll
from app.server.wsgi_bridge import THREADS
from tests.api.conftest import deployed_settings
from tests.couch.misbehaving_server import MisbehavingServer, hang
from tests.server.live import PATIENCE, SECRET, Live, command, environment

# Connections that nothing is asked on, and the descriptors that they and the service need.
IDLE, DESCRIPTORS = 1_000, 2_500
# Seconds that a request may take, and what a noisy machine may add to them.
DEADLINE, ALLOWANCE = 1, 1.0


@pytest.fixture(scope="module", autouse=True)
def _descriptors() -> Iterator[None]:
    """As many as are needed, here and in the services, which inherit them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        pytest.skip(f"this machine lets a process open {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def environ(server_url: str, module_prefix: str) -> dict[str, str]:
    """The settings of an installation whose clients have all the time that a test may take."""
    deployed_settings(server_url, module_prefix)
    return environment(
        COUCHDB_URL=server_url,
        DREAMSCRIPT_DATABASE_PREFIX=module_prefix,
        DREAMSCRIPT_SECRET_KEY=SECRET,
        DREAMSCRIPT_WORKERS="1",
        DREAMSCRIPT_RATE_LIMIT="off",
        DREAMSCRIPT_DEADLINE=str(PATIENCE),
    )


@pytest.fixture(scope="module")
def key(environ: dict[str, str]) -> str:
    """A key that may read and write."""
    made = command("keys", "create", "live", "--scope", "documents:read", "documents:write", "--json", environ=environ)
    text: str = json.loads(made.stdout)["key"]
    return text


@pytest.fixture(scope="module")
def live(environ: dict[str, str]) -> Iterator[Live]:
    """A service of one worker."""
    with Live("serve", environ) as running:
        yield running


def connect(live: Live) -> socket.socket:
    """Return a connection."""
    host, port = live.address.split(":")
    return socket.create_connection((host, int(port)), PATIENCE)


def creating(key: str, body: bytes, *headers: str) -> bytes:
    """Return the head of a request that creates a document from ``body``."""
    own = ("Host: x", "Content-Type: application/json", f"X-API-Key: {key}", f"Content-Length: {len(body)}")
    return "\r\n".join(("POST /documents HTTP/1.1", *own, *headers, "", "")).encode()


def receive(client: socket.socket, end: bytes) -> bytes:
    """Return what arrives up to ``end``, or until the server hangs up."""
    found = b""
    while not found.endswith(end) and (chunk := client.recv(65536)):
        found += chunk
    return found


def status(answer: bytes) -> int:
    """Return the status of an answer."""
    return int(answer.split(b" ", 2)[1])


def tracebacks(live: Live) -> list[str]:
    """Return the lines of the log that tell of an exception."""
    return [line for line in live.logged if "Traceback" in line]


def test_when_the_database_hangs_everyone_is_told_in_time(environ: dict[str, str]) -> None:
    """There are more clients than threads, whose turn would never come."""
    request = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with MisbehavingServer(hang) as database, ExitStack() as stack:
        settings = {**environ, "COUCHDB_URL": database.url, "DREAMSCRIPT_DEADLINE": str(DEADLINE)}
        live = stack.enter_context(Live("serve", settings))
        assert live.request("GET", "/livez")[0] == 200
        clients = [stack.enter_context(closing(connect(live))) for _ in range(100)]
        started = time.monotonic()
        for client in clients:
            client.sendall(request)
        answers = [receive(client, b"\0") for client in clients]
        assert time.monotonic() - started < DEADLINE + ALLOWANCE
        lines = live.wait_for(lambda: [e for e in live.events() if e.get("status") == 503][99:] and live.events())
    assert Counter(map(status, answers)) == {503: 100}
    assert all(b"Retry-After: " in answer and b'"unavailable"' in answer for answer in answers)
    unrun = [line for line in lines if line.get("status") == 503 and "route" not in line]
    assert 0 < len(unrun) <= 100 - THREADS


def test_slow_uploads_hold_up_nobody_and_are_all_stored(live: Live, key: str) -> None:
    body = json.dumps({"title": "slow", "content": "x" * 100_000}).encode()
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(connect(live))) for _ in range(3 * THREADS)]
        for at in range(0, len(body), 40_000):
            for client in clients:
                client.sendall((creating(key, body) if at == 0 else b"") + body[at : at + 40_000])
            assert live.request("GET", "/documents?limit=1", key)[0] == 200
        assert Counter(status(receive(client, b"}\n")) for client in clients) == {201: len(clients)}


def test_idle_connections_hold_up_nobody(live: Live, key: str) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(connect(live))) for _ in range(IDLE)]
        for client in clients[::2]:
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert live.request("GET", "/documents?limit=1", key)[0] == 200
        assert {status(receive(client, b"}\n")) for client in clients[::2]} == {200}
        assert live.request("GET", "/documents?limit=1", key)[0] == 200


def test_idle_connections_do_not_hold_up_the_end(environ: dict[str, str]) -> None:
    """The service would wait for a minute for what was begun, as it would for those whose clients have left."""
    with Live("serve", environ) as live, closing(connect(live)), closing(connect(live)) as used:
        used.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status(receive(used, b"}\n")) == 200
        live.signal(signal.SIGTERM)
        assert live.wait() == 0
        assert not [line for line in live.logged if "Forcing close" in line]


def test_a_client_that_leaves_does_not_take_its_write_with_it(live: Live, key: str) -> None:
    body = json.dumps({"title": "left behind"}).encode()
    for cut in (len(body), 5):
        with closing(connect(live)) as client:
            client.sendall(creating(key, body) + body[:cut])

    def stored() -> list[str]:
        found = live.request("GET", "/documents?limit=1000", key)[1]
        return [item for item in found if item["title"] == "left behind"]

    assert poll(stored, PATIENCE)
    live.wait_for(lambda: [e for e in live.events() if e.get("route") == "/documents" and e.get("status") == 400])
    assert len(stored()) == 1
    assert tracebacks(live) == []


def test_pipelined_requests_are_answered_in_turn(live: Live, key: str) -> None:
    body = json.dumps({"title": "first"}).encode()
    last = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    with closing(connect(live)) as client:
        client.sendall(creating(key, body) + body + b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n" + last)
        client.shutdown(socket.SHUT_WR)
        answers = receive(client, b"\0").split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"201", b"200", b"404"]
    assert answers[1].endswith(b"\r\n\r\n")


def test_a_connection_serves_on_after_answers_without_a_body(live: Live) -> None:
    with closing(live.connect()) as connection:
        for method, expected in (("HEAD", 200), ("OPTIONS", 204), ("GET", 200), ("HEAD", 200)):
            connection.request(method, "/livez")
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (expected, method == "GET")
            # It must not be opened anew in silence.
            connection.auto_open = 0


def test_a_client_that_asks_first_is_told_to_go_on(live: Live, key: str) -> None:
    body = json.dumps({"title": "asked"}).encode()
    with closing(connect(live)) as client:
        client.sendall(creating(key, body, "Expect: 100-continue"))
        assert receive(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert status(receive(client, b"}\n")) == 201


@pytest.mark.parametrize("size", [2 * 2**20, 9 * 2**20])
def test_what_is_too_large_is_refused_and_the_answer_seen(live: Live, key: str, size: int) -> None:
    """A client that sends all before it reads sees the answer, if it is not too slow."""
    body = json.dumps({"title": "large", "content": "x" * size}).encode()
    with closing(live.connect()) as connection:
        connection.request("POST", "/documents", body, {"X-API-Key": key, "Content-Type": "application/json"})
        assert connection.getresponse().status == 413


def test_a_large_batch_passes_through_a_file(live: Live, key: str) -> None:
    operations = [{"op": "create", "value": {"title": str(n), "content": "x" * 1_000_000}} for n in range(8)]
    code, found = live.request("POST", "/documents/batch", key, {"operations": operations})
    assert code == 200
    assert [outcome["status"] for outcome in found["outcomes"]] == [201] * 8


@pytest.mark.parametrize(
    "headers",
    [
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 12\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ],
)
def test_no_other_protocol_is_spoken(live: Live, headers: str) -> None:
    with closing(connect(live)) as client:
        client.sendall(f"GET /livez HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
        assert status(receive(client, b"}\n")) in (200, 400)

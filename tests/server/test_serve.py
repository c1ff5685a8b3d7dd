"""The serving process: production workers, JSON logs, answers to what is not HTTP, and an end without loss."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import Any

import pytest

from app.domain.clock import now
from app.server.wsgi_bridge import THREADS
from tests.api.conftest import deployed_settings
from tests.server.live import PATIENCE, SECRET, Live, command, environment


@pytest.fixture(scope="module")
def environ(server_url: str, module_prefix: str) -> dict[str, str]:
    """The settings of an installation that is deployed and not yet served."""
    deployed_settings(server_url, module_prefix)
    return environment(
        COUCHDB_URL=server_url,
        DREAMSCRIPT_DATABASE_PREFIX=module_prefix,
        DREAMSCRIPT_SECRET_KEY=SECRET,
        DREAMSCRIPT_WORKERS="2",
    )


@pytest.fixture(scope="module")
def key(environ: dict[str, str]) -> str:
    """A key made by the command line."""
    made = command("keys", "create", "live", "--scope", "documents:read", "documents:write", "--json", environ=environ)
    text: str = json.loads(made.stdout)["key"]
    return text


@pytest.fixture(scope="module")
def live(environ: dict[str, str]) -> Iterator[Live]:
    """A running service."""
    with Live("serve", environ) as running:
        yield running


def test_it_serves(live: Live, key: str) -> None:
    status, created = live.request("POST", "/documents", key, {"title": "Live"})
    assert status == 201
    assert live.request("GET", f"/documents/{created['id']}", key) == (200, created)
    assert live.request("GET", "/readyz") == (200, {"status": "ok"})


def test_it_serves_from_as_many_processes_as_it_was_told(live: Live) -> None:
    workers = live.wait_for(lambda: [e for e in live.events() if e["message"].startswith("Booting worker")][1:])
    assert len(workers) == 1


def test_each_request_leaves_a_line_of_json(live: Live, key: str) -> None:
    connection = live.connect()
    connection.request("GET", "/documents?limit=1", headers={"X-API-Key": key, "X-Request-ID": "look-for-me"})
    assert connection.getresponse().read()
    connection.close()
    line = live.wait_for(lambda: [e for e in live.events() if e.get("request_id") == "look-for-me"])[0]
    assert (line["method"], line["route"], line["status"], line["principal"]) == (
        "GET",
        "/documents",
        200,
        "p1",
    )
    assert line["duration_ms"] > 0
    assert key not in "\n".join(live.logged + live.said)


def exchange(live: Live, sent: bytes) -> tuple[int, Any]:
    """Send bytes as they are; return the status and the JSON of the answer, after which the server must hang up."""
    host, port = live.address.split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := client.recv(4096):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("body", [b"ZZ\r\n{}\r\n0\r\n\r\n", b"2\r\n{}XX0\r\n\r\n", b"-2\r\n{}\r\n0\r\n\r\n"])
def test_a_body_that_is_framed_wrongly_is_the_clients_fault(live: Live, key: str, body: bytes) -> None:
    head = (
        "POST /documents HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"X-API-Key: {key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    status, found = exchange(live, head.encode() + body)
    assert (status, found["error"]) == (400, "bad_request")


def test_a_body_that_ends_early_is_not_stored(live: Live, key: str) -> None:
    """What came is valid JSON, and more was announced."""
    before = live.request("GET", "/documents?limit=1000", key)[1]
    head = (
        "POST /documents HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"X-API-Key: {key}\r\nContent-Length: 100\r\n\r\n"
    )
    status, found = exchange(live, head.encode() + b'{"title": "cut"}')
    assert (status, found["error"]) == (400, "bad_request")
    assert live.request("GET", "/documents?limit=1000", key)[1] == before


def test_an_unknown_transfer_encoding_is_refused(live: Live, key: str) -> None:
    head = (
        "POST /documents HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"X-API-Key: {key}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    )
    status, found = exchange(live, head.encode() + b'e\r\n{"title": "x"}\r\n0\r\n\r\n')
    assert (status, found["error"]) == (400, "bad_request")


def test_only_trusted_proxies_say_where_the_service_is(live: Live, key: str) -> None:
    head = f"GET /documents?limit=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-API-Key: {key}\r\n"
    status, found = exchange(live, f"{head}SCRIPT_NAME: /documents\r\n\r\n".encode())
    assert status == 200
    assert isinstance(found, list)


def test_an_empty_path_is_the_root(live: Live) -> None:
    status, found = exchange(live, b"GET http://x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (status, found["name"]) == (200, "Dreamscript Database")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /documents\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n",
        b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 9_000 + b"\r\n\r\n",
        b"POST /documents HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /documents HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_what_is_not_http_gets_the_error_shape(live: Live, sent: bytes) -> None:
    status, found = exchange(live, sent)
    assert status == 400
    assert set(found) == {"error", "reason", "request_id", "errors"}
    assert found["error"] == "bad_request"


def test_a_chunked_body_is_read_and_bounded(live: Live, key: str) -> None:
    for size, status in ((100, 201), (2**20, 413)):
        connection = live.connect()
        body = json.dumps({"title": "chunked", "content": "x" * size}).encode()
        parts = (body[i : i + 2**16] for i in range(0, len(body), 2**16))
        headers = {"X-API-Key": key, "Content-Type": "application/json"}
        connection.request("POST", "/documents", parts, headers, encode_chunked=True)
        assert connection.getresponse().status == status
        connection.close()


@pytest.mark.parametrize("with_key", [True, False])
def test_stalled_bodies_do_not_stop_the_service(environ: dict[str, str], key: str, with_key: bool) -> None:
    """There are more of them than threads, and they send one byte of a body and no more."""
    head = (
        "POST /documents HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        f"X-API-Key: {key if with_key else 'none'}\r\n\r\n{{"
    )
    with Live("serve", {**environ, "DREAMSCRIPT_DEADLINE": "1"}) as live, ExitStack() as stack:
        host, port = live.address.split(":")
        stalled = [
            stack.enter_context(socket.create_connection((host, int(port)), PATIENCE)) for _ in range(3 * 2 * THREADS)
        ]
        for client in stalled:
            client.sendall(head.encode())
        assert live.request("GET", "/livez")[0] == 200
        answers = {client.recv(4096).split()[1] for client in stalled}
    assert answers == {b"400" if with_key else b"401"}


def test_sigterm_ends_what_was_begun_and_then_the_process(environ: dict[str, str], key: str) -> None:
    body = json.dumps({"title": "Half way"}).encode()
    head = (
        f"POST /documents HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with Live("serve", environ) as live:
        host, port = live.address.split(":")
        with socket.create_connection((host, int(port)), PATIENCE) as client:
            client.sendall(head.encode() + body[:5])
            # An answer to a later request shows that the worker has had time to take the first one.
            assert live.request("GET", "/livez")[0] == 200
            live.signal(signal.SIGTERM)
            live.wait_for(lambda: [e for e in live.events() if "Handling signal: term" in e["message"]])
            client.sendall(body[5:])
            answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 201 ")
        assert live.wait() == 0


def use_in_two_processes(live: Live, key: str) -> set[int]:
    """Use ``key``, on a new connection each time, until two processes have met it; return which."""
    pids: set[int] = set()
    while len(pids) < 2:
        assert live.request("GET", "/documents?limit=1", key)[0] == 200
        pids = {event["pid"] for event in live.events() if event.get("route") == "/documents"}
    return pids


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_end_writes_the_last_uses_of_keys(environ: dict[str, str], number: signal.Signals) -> None:
    """A terminal and a service manager tell every process to end; all write the same key, and the last use remains."""
    made = command("keys", "create", "used", "--scope", "documents:read", "keys:manage", "--json", environ=environ)
    key, path = json.loads(made.stdout)["key"], f"/keys/{json.loads(made.stdout)['id']}"
    with Live("serve", environ) as live:
        pids = use_in_two_processes(live, key)
        began = now()
        assert "last_used_at" not in live.request("GET", path, key)[1]
        ended = now()
        live.signal(number)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        assert live.wait() == 0
    with Live("serve", environ) as live:
        shown = live.request("GET", path, key)[1]
    assert began < datetime.fromisoformat(shown["last_used_at"]) < ended
    listed = json.loads(command("keys", "list", "--json", environ=environ).stdout)
    assert shown["last_used_at"] < next(one["last_used_at"] for one in listed if one["id"] == shown["id"])
    lines = command("keys", "list", environ=environ).stdout
    assert re.search(rf"^{shown['id']}\tactive\t.*\tlast used 20", lines, re.MULTILINE)


def test_a_missing_setting_is_named(environ: dict[str, str]) -> None:
    without = {name: value for name, value in environ.items() if name != "DREAMSCRIPT_SECRET_KEY"}
    failed = command("serve", environ={**without, "DREAMSCRIPT_VAR": "/nonexistent"})
    assert failed.returncode == 2
    assert "DREAMSCRIPT_SECRET_KEY" in failed.stderr
    assert "Traceback" not in failed.stderr

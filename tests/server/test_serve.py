"""The serving processes: their log, their supervision, and an end without loss."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from app.domain.resources import now
from tests.server.clients import workers
from tests.server.live import Live, command, create_key
from tests.server.raw import RawClient, exchange, head, post
from tests.waiting import wait_until


def test_it_serves(live: Live, key: str) -> None:
    status, created = live.request("POST", "/documents", key, {"title": "Live"})
    assert status == 201
    assert live.request("GET", f"/documents/{created['id']}", key) == (200, created)
    assert live.request("GET", "/readyz") == (200, {"status": "ok"})


def test_it_runs_as_many_workers_as_are_set(live: Live) -> None:
    assert len(set(workers(live, 2))) == 2


def test_each_request_leaves_a_line_of_json(live: Live, key: str) -> None:
    exchange(live, head("GET", "/documents?limit=1", f"X-API-Key: {key}", "X-Request-ID: look-for-me"))
    line = live.wait_for(lambda: [e for e in live.events() if e.get("request_id") == "look-for-me"])[0]
    members = ("method", "path", "query", "route", "status", "principal", "key_id", "client")
    expected = ["GET", "/documents", "limit=1", "/documents", 200, "p1", 1, "127.0.0.1"]
    assert [line[name] for name in members] == expected
    assert line["duration_ms"] > 0
    assert key not in "\n".join(live.logged + live.said)


def test_the_log_is_text_if_that_is_set(environ: dict[str, str]) -> None:
    with Live("serve", {**environ, "DREAMSCRIPT_LOG": "text"}) as live:
        assert live.request("GET", "/livez")[0] == 200
        live.wait_for(lambda: [line for line in live.logged if re.search(r" GET +200 +[0-9.]+ ms +/livez ", line)])


def test_no_line_is_lost_at_the_end(environ: dict[str, str]) -> None:
    with Live("serve", environ) as live:
        for number in range(50):
            exchange(live, head("GET", "/livez", f"X-Request-ID: line-{number}"))
        live.signal(signal.SIGTERM)
        assert live.wait() == 0
    assert {f"line-{number}" for number in range(50)} <= {event.get("request_id") for event in live.events()}


def test_a_crashed_worker_is_replaced(environ: dict[str, str]) -> None:
    with Live("serve", environ) as live:
        first = workers(live, 2)
        os.kill(first[0], signal.SIGKILL)
        replaced = [pid for pid in workers(live, 3) if pid not in first]
        assert len(replaced) == 1
        ended = [event for event in live.events() if event["message"] == "worker ended"]
        assert [(event["worker"], event["exit_code"]) for event in ended] == [(first[0], -signal.SIGKILL)]
        assert live.request("GET", "/livez")[0] == 200
        live.signal(signal.SIGTERM)
        assert live.wait() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows processes in /proc")
def test_workers_end_with_their_supervisor(environ: dict[str, str]) -> None:
    with Live("serve", environ) as live:
        pids = workers(live, 2)
        live.signal(signal.SIGKILL)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_sigterm_lets_requests_in_flight_end(environ: dict[str, str], key: str) -> None:
    body = json.dumps({"title": "Half way"}).encode()
    with Live("serve", environ) as live, RawClient(live) as client:
        client.sendall(post(key, len(body), "Expect: 100-continue"))
        assert client.response().status == 100
        live.signal(signal.SIGTERM)
        live.wait_for(lambda: [event for event in live.events() if event["message"] == "stopping"])
        client.sendall(body)
        assert client.response().status == 201
        assert client.rest() == b""
        assert live.wait() == 0


def use_in_two_processes(live: Live, key: str) -> set[int]:
    """Use ``key``, on a new connection each time, until two processes have seen it; return their ids."""
    pids: set[int] = set()
    while len(pids) < 2:
        assert live.request("GET", "/documents?limit=1", key)[0] == 200
        pids = {event["pid"] for event in live.events() if event.get("route") == "/documents"}
    return pids


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_end_writes_the_last_uses_of_keys(environ: dict[str, str], number: signal.Signals) -> None:
    """A terminal and a service manager signal every process; all write the same key, and the last use remains."""
    created = create_key(environ, ["documents:read", "keys:manage"])
    key, path = created["key"], f"/keys/{created['id']}"
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
        item = live.request("GET", path, key)[1]
    assert began < datetime.fromisoformat(item["last_used_at"]) < ended
    rows = json.loads(command("keys", "list", "--json", environ=environ).stdout)
    assert item["last_used_at"] < next(row["last_used_at"] for row in rows if row["id"] == item["id"])
    lines = command("keys", "list", environ=environ).stdout
    assert re.search(rf"^{item['id']} +active +never +20[0-9: -]+Z +{created['name']} ", lines, re.MULTILINE)


def test_a_missing_setting_is_named(environ: dict[str, str]) -> None:
    without = {name: value for name, value in environ.items() if name != "DREAMSCRIPT_SECRET_KEY"}
    failed = command("serve", environ={**without, "DREAMSCRIPT_VAR": "/nonexistent"})
    assert failed.returncode == 2
    assert "DREAMSCRIPT_SECRET_KEY" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_port_in_use_is_one_line(environ: dict[str, str], live: Live) -> None:
    failed = command("serve", environ={**environ, "DREAMSCRIPT_PORT": live.address.split(":")[1]})
    assert failed.returncode == 2
    assert "DREAMSCRIPT_PORT" in failed.stderr
    assert "Traceback" not in failed.stderr

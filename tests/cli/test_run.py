"""Check that `make run` serves the README's commands from an empty folder, and again after a crash."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from app.local_couchdb import Running
from app.local_couchdb.restarts import MAX_RESTARTS
from tests.docs.blocks import blocks, commands
from tests.server.live import Live, command, environment
from tests.waiting import MAX_WAIT_SECONDS, wait_until


@dataclass(frozen=True)
class Machine:
    """A running `make run`, its environment and its folder."""

    live: Live
    environ: dict[str, str]
    var: Path


def new_environment(database: Running, var: Path) -> dict[str, str]:
    """Return the environment of a new machine, with this run's kind of database if `make run` can start it."""
    kind = database.origin if database.origin in ("installed", "embedded") else "embedded"
    return environment(DREAMSCRIPT_VAR=str(var), DREAMSCRIPT_DATABASE=kind, DREAMSCRIPT_WORKERS="2")


@pytest.fixture
def environ(database: Running, tmp_path: Path) -> dict[str, str]:
    """The environment of a machine for one test."""
    return new_environment(database, tmp_path / "var")


@pytest.fixture(scope="module")
def machine(database: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine for the tests that change nothing on it."""
    var = tmp_path_factory.mktemp("machine") / "var"
    environ = new_environment(database, var)
    with Live("run", environ) as live:
        yield Machine(live, environ, var)


def pids_of(live: Live) -> set[int]:
    """Return the serving processes that have logged something."""
    return {event["pid"] for event in live.events() if "pid" in event}


def test_the_commands_of_the_readme_have_the_output_it_shows(environ: dict[str, str], tmp_path: Path) -> None:
    rows = [row for block in blocks("README.md", "console") for row in commands(block)]
    script, output = "".join(row.text for row in rows), "".join(row.output for row in rows)
    assert script.count("curl ") >= 10
    with Live("run", environ) as live:
        printed = live.wait_for(lambda: "\n".join(live.said) if "curl" in "\n".join(live.said) else "")
        assert re.search("^ +ds_dev_[0-9A-Za-z]{49}$", printed, re.MULTILINE)
        ran = subprocess.run(
            ["bash", "-euc", script.replace("127.0.0.1:8000", live.address)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=MAX_WAIT_SECONDS,
            check=False,
        )
    assert ran.stderr == ""
    assert ran.stdout == output


def test_a_start_after_a_crash_keeps_data_and_key(environ: dict[str, str], tmp_path: Path) -> None:
    var = tmp_path / "var"
    with Live("run", environ) as live:
        key = (var / "development-key").read_text().strip()
        status, created = live.request("POST", "/documents", key, {"title": "Before the crash"})
        assert status == 201
        for pid in pids_of(live):
            os.kill(pid, signal.SIGKILL)
        assert live.wait() == -signal.SIGKILL
    with Live("run", environ) as live:
        assert live.request("GET", f"/documents/{created['id']}", key) == (200, created)
        assert live.request("POST", "/documents", key, {"title": "After"})[1]["id"] == created["id"] + 1
        printed = live.wait_for(lambda: "\n".join(live.said) if "curl" in "\n".join(live.said) else "")
        assert "$(cat " in printed
        assert key not in printed


def kill_database(var: Path) -> None:
    """Kill the processes of the database that `make run` has started."""
    [lock] = var.glob("*/lock")
    os.killpg(int(lock.read_text()), signal.SIGKILL)


def has_restarted(live: Live, times: int) -> bool:
    """Return whether the log says this often that the database is restarted."""
    return sum("is being restarted" in line["message"] for line in live.events()) == times


def test_a_database_that_dies_is_restarted_with_one_line(environ: dict[str, str], tmp_path: Path) -> None:
    with Live("run", environ) as live:
        key = (tmp_path / "var" / "development-key").read_text().strip()
        status, created = live.request("POST", "/documents", key, {"title": "Before"})
        assert status == 201
        kill_database(tmp_path / "var")
        live.wait_for(partial(has_restarted, live, 1))
        path = f"/documents/{created['id']}"
        wait_until(lambda: live.request("PUT", path, key, {"title": "After"})[0] == 200)
        assert live.request("GET", path, key)[1]["title"] == "After"
        assert has_restarted(live, 1)


def test_a_database_that_keeps_dying_ends_the_command(environ: dict[str, str], tmp_path: Path) -> None:
    with Live("run", environ) as live:
        for number in range(MAX_RESTARTS):
            kill_database(tmp_path / "var")
            live.wait_for(partial(has_restarted, live, number + 1))
        kill_database(tmp_path / "var")
        assert live.wait() == 1
        assert any("the database ended 6 times within a minute" in line for line in live.logged)


def test_a_second_run_on_the_same_data_is_refused(machine: Machine) -> None:
    refused = command("run", environ={**machine.environ, "DREAMSCRIPT_PORT": "0"})
    assert refused.returncode == 1
    address, pid = machine.live.address, machine.live.pid
    message = f"already running on http://{address} with the data in {machine.var} (process {pid})"
    assert message in refused.stderr
    assert machine.live.request("GET", "/readyz")[0] == 200


def test_a_weak_secret_is_a_warning(environ: dict[str, str]) -> None:
    with Live("run", {**environ, "DREAMSCRIPT_SECRET_KEY": "weak"}) as live:
        assert "warning: DREAMSCRIPT_SECRET_KEY must be hard to guess" in live.logged[0]
        assert live.request("GET", "/readyz")[0] == 200


@pytest.mark.nodatabase
def test_a_url_without_couchdb_is_reported(tmp_path: Path) -> None:
    environ = environment(DREAMSCRIPT_VAR=str(tmp_path), COUCHDB_URL="http://admin:hunter2@127.0.0.1:1")
    failed = command("run", environ={**environ, "DREAMSCRIPT_PORT": "0"})
    assert failed.returncode == 1
    assert failed.stderr == (
        "error: COUCHDB_URL: no connection to 127.0.0.1:1: Connection refused."
        " Start CouchDB there, or correct host and port in the URL\n"
    )
    assert not list(tmp_path.iterdir())


def test_the_printed_curl_line_works_as_pasted(machine: Machine) -> None:
    live = machine.live
    line = live.wait_for(lambda: next((line for line in live.said if line.startswith("  curl ")), ""))
    pasted = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=MAX_WAIT_SECONDS, check=True)
    assert json.loads(pasted.stdout) == []
    # Nothing but a terminal gets control characters.
    assert all(text.isprintable() for text in live.said)


def test_commands_find_the_running_database_without_settings(environ: dict[str, str], tmp_path: Path) -> None:
    with Live("run", environ) as live:
        assert "development" in command("keys", "list", environ=environ).stdout
        live.signal(signal.SIGTERM)
        assert live.wait() == 0
    assert not (tmp_path / "var" / "couchdb-url").exists()
    failed = command("keys", "list", environ=environ)
    assert failed.returncode == 2
    assert "COUCHDB_URL" in failed.stderr


def test_only_the_owner_can_read_the_secrets(machine: Machine) -> None:
    for name in ("secret-key", "development-key", "couchdb-url"):
        assert stat.S_IMODE((machine.var / name).stat().st_mode) == 0o600, name


def test_a_taken_port_is_reported_before_anything_is_started(environ: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        failed = command("run", environ={**environ, "DREAMSCRIPT_PORT": str(taken.getsockname()[1])})
    assert failed.returncode == 2
    assert "DREAMSCRIPT_PORT" in failed.stderr
    assert not (tmp_path / "var").exists()

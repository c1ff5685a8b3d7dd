"""Check that a database server that ends is restarted at its URL, and not without end."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.local_couchdb import Running, process, start
from app.local_couchdb.process import Server
from app.local_couchdb.restarts import MAX_RESTARTS, WINDOW_SECONDS, Restarts
from app.local_couchdb.wire import read, request
from tests.clock import ManualClock
from tests.local_couchdb.test_process import FAKE, KINDS, fake, tree
from tests.waiting import wait_until

# Ends when it is asked to.
END = "def do_DELETE(self): print('no memory', flush=True); import os; os._exit(3)"
MORTAL = FAKE.replace("    def log_message", f"    {END}\n    def log_message")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, lambda _, port: fake(FAKE, port))
    yield server
    server.stop()


def kill(server: Server, directory: Path) -> None:
    """Kill the server, and wait until its keeper has ended too."""
    keeper = int((directory / "lock").read_text())
    for pid in wait_until(lambda: tree(keeper) - {keeper}):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.has_ended)


@pytest.mark.nodatabase
def test_a_running_server_is_left_alone(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    assert Restarts(server).keep_running()
    assert request(server.url)[0] == 200
    assert not caplog.records


@pytest.mark.nodatabase
def test_a_server_that_ended_is_restarted_at_its_url(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kill(server, tmp_path)
    assert Restarts(server).keep_running()
    assert wait_until(lambda: read(server.url))
    [record] = caplog.records
    assert record.getMessage() == ("the database ended and is being restarted: the server ended by SIGKILL")


@pytest.mark.nodatabase
def test_the_line_shows_how_and_why_the_server_ended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = Server(tmp_path, lambda _, port: fake(MORTAL, port))
    with suppress(http.client.RemoteDisconnected, ConnectionResetError):
        request(server.url, "DELETE")
    wait_until(lambda: server.has_ended)
    assert Restarts(server).keep_running()
    server.stop()
    assert caplog.messages[0].endswith(": the server ended with status 3 (no memory)")


@pytest.mark.nodatabase
def test_a_server_without_its_keeper_is_replaced(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.kill(int((tmp_path / "lock").read_text()), signal.SIGKILL)
    wait_until(lambda: server.has_ended)
    assert Restarts(server).keep_running()
    assert "killed together with its keeper" in caplog.text
    assert wait_until(lambda: read(server.url))


@pytest.mark.nodatabase
def test_a_server_that_keeps_ending_is_given_up(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    restarts = Restarts(server, clock)
    for _ in range(MAX_RESTARTS):
        kill(server, tmp_path)
        assert restarts.keep_running()
    kill(server, tmp_path)
    clock.now = WINDOW_SECONDS - 1
    assert not restarts.keep_running()
    assert caplog.records[-1].levelname == "ERROR"
    assert f"ended {MAX_RESTARTS + 1} times within a minute" in caplog.text
    clock.now = WINDOW_SECONDS
    assert restarts.keep_running()


@pytest.mark.nodatabase
def test_a_server_that_cannot_be_started_is_given_up(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 0.1)
    kill(server, tmp_path)
    lock = process.lock_folder(tmp_path)
    assert not Restarts(server).keep_running()
    os.close(lock)
    assert "cannot be started again: a database server already runs" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_database_comes_back_with_its_data(kind: str, tmp_path: Path) -> None:
    running: Running = start(kind, tmp_path)
    [directory] = tmp_path.iterdir()
    try:
        request(running.url, "PUT", "/scripts")
        assert request(running.url, "PUT", "/scripts/a", {"title": "kept"})[0] == 201
        os.killpg(int((directory / "lock").read_text()), signal.SIGKILL)
        wait_until(lambda: read(running.url) is None)
        wait_until(lambda: running.keep() and read(running.url, "/scripts/a"))
        assert request(running.url, path="/scripts/a")[1]["title"] == "kept"
    finally:
        running.stop()

"""Check `make demo`: it serves the editor's files beside the service, and leads to them without the key in a URL."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from app.cli.banner import DevelopmentKey
from app.cli.demo import block
from app.local_couchdb import Running
from couchapp import running
from tests.ports import free_port
from tests.server.live import Live, command, environment
from tests.waiting import MAX_WAIT_SECONDS, wait_until


def get(url: str) -> bytes:
    """Return the body of an answer."""
    with urlopen(url, timeout=MAX_WAIT_SECONDS) as answer:
        body: bytes = answer.read()
        return body


def row(live: Live, name: str) -> str:
    """Return the text beside a name in the block that the demo prints."""
    lines = live.wait_for(lambda: [line for line in live.said if line.startswith(f"  {name} ")])
    return lines[-1].split()[-1]


@pytest.fixture
def environ(database: Running, tmp_path: Path) -> dict[str, str]:
    """The environment of a new machine, where a program that stands for a browser writes down its URL."""
    kind = database.origin if database.origin in ("installed", "embedded") else "embedded"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    browser.chmod(0o700)
    return environment(
        DREAMSCRIPT_VAR=str(tmp_path / "var"),
        DREAMSCRIPT_DATABASE=kind,
        DREAMSCRIPT_WORKERS="1",
        BROWSER=f"{browser} %s",
    )


def test_it_starts_the_service_and_opens_the_editor(environ: dict[str, str], tmp_path: Path) -> None:
    with Live("demo", environ) as live:
        url, key = row(live, "Editor"), row(live, "Key")
        assert b"<title>Dreamscript editor</title>" in get(url)
        assert json.loads(get(f"{url}service.json")) == {"url": f"http://{live.address}"}
        assert live.request("GET", "/documents", key) == (200, [])
        opened = wait_until(lambda: (tmp_path / "opened").exists() and (tmp_path / "opened").read_text())
        assert opened == f"{url}\n"
    with pytest.raises(URLError):
        get(url)


@pytest.mark.nodatabase
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_uses_the_service_that_runs_already(tmp_path: Path, number: signal.Signals) -> None:
    claim = running.claim(tmp_path)
    claim.announce("http://127.0.0.1:8411")
    (tmp_path / "development-key").write_text("ds_dev_x\n")
    command = [sys.executable, "-m", "app", "demo"]
    environ = environment(DREAMSCRIPT_VAR=str(tmp_path), DREAMSCRIPT_PORT="0")
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(8)]
        process.send_signal(number)
        assert process.wait(MAX_WAIT_SECONDS) == 0
    claim.close()
    assert "Service    http://127.0.0.1:8411\n" in "".join(lines)
    assert "Key        ds_dev_x\n" in "".join(lines)
    assert lines[-1] == "Ctrl-C ends the editor, and leaves the service running.\n"


@pytest.mark.nodatabase
def test_a_taken_port_is_reported(tmp_path: Path) -> None:
    # The port before one that the system chooses may be in use by a connection.
    port = free_port() + 1
    with socket.create_server(("127.0.0.1", port)):
        environ = environment(DREAMSCRIPT_VAR=str(tmp_path / "var"), DREAMSCRIPT_PORT=str(port - 1))
        failed = command("demo", environ=environ)
    assert failed.returncode == 2
    assert (
        f"DREAMSCRIPT_PORT must leave the next port free for the editor, and 127.0.0.1:{port} is not" in failed.stderr
    )
    assert not (tmp_path / "var").exists()


@pytest.mark.nodatabase
def test_without_a_stored_key_it_shows_how_to_create_one() -> None:
    text = block("http://127.0.0.1:8001/", "http://127.0.0.1:8000", DevelopmentKey(None))
    assert "python -m app keys create NAME" in text

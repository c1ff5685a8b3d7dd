"""A database server lives exactly as long as its starter, alone in its folder, and says why it could not start."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.local_couchdb import StartError, installed, process, start
from app.local_couchdb.process import Command, Server, poll
from app.local_couchdb.settings import LocalSettings
from app.local_couchdb.wire import request
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
NEEDS_COUCHDB = pytest.mark.skipif(
    not installed.is_at(LocalSettings.parse(os.environ).couchdb_home), reason="no Apache CouchDB is installed"
)
KINDS = ["embedded", pytest.param("installed", marks=NEEDS_COUCHDB)]
FAKE = """
import http.server, pathlib, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'{"couchdb": "Welcome", "version": "0"}')
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
pathlib.Path("uri.new").write_text(f"http://127.0.0.1:{server.server_port}/")
pathlib.Path("uri.new").rename("uri")
server.serve_forever()
"""


def fake(script: str = FAKE) -> Command:
    return Command([sys.executable, "-c", script])


def tree(root: int) -> set[int]:
    """Return the process ``root`` and all that descend from it."""
    shown = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in shown.stdout.splitlines()]
    found: set[int] = set()
    new = {root}
    while new:
        found |= new
        new = {pid for pid, parent in pairs if parent in new} - found
    return found


def alive(pid: int) -> bool:
    """Return whether ``pid`` runs; who has ended and was not yet asked for its status does not."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return not shown.stdout.startswith("Z") and shown.stdout.strip() != ""


class Starter:
    """Another process that starts a database in a folder and holds it until it is killed."""

    SCRIPT = """
import sys
from pathlib import Path
from app.local_couchdb import start
running = start(sys.argv[1], Path(sys.argv[2]))
print(running.url, flush=True)
sys.stdin.read()
"""

    def __init__(self, kind: str, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.SCRIPT, kind, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout
        self.pid, self.url = self._process.pid, self._process.stdout.readline().strip()

    def __enter__(self) -> Starter:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.kill()


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_starter_leaves_no_process_and_its_data(kind: str, tmp_path: Path) -> None:
    view = {"views": {"a": {"map": "function (doc) { emit(1); }"}}}
    with Starter(kind, tmp_path) as starter:
        request(starter.url, "PUT", "/scripts")
        request(starter.url, "PUT", "/scripts/_design/v", view)
        assert request(starter.url, "PUT", "/scripts/a", {"title": "kept"})[0] == 201
        assert request(starter.url, path="/scripts/_design/v/_view/a")[1]["total_rows"] == 1
        family = tree(starter.pid)
        assert len(family) >= 3  # Starter, keeper and server; with CouchDB also what runs JavaScript.
    assert poll(lambda: not any(alive(pid) for pid in family), 20), "something outlived its starter"
    again = start(kind, tmp_path)
    try:
        assert again.url.partition("@")[0] == starter.url.partition("@")[0], "the administrator changed"
        assert request(again.url, path="/scripts/a")[1]["title"] == "kept"
    finally:
        again.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_two_run_side_by_side(kind: str, tmp_path: Path) -> None:
    one, two = start(kind, tmp_path / "one"), start(kind, tmp_path / "two")
    try:
        assert request(one.url, "PUT", "/only-here")[0] == 201
        assert request(two.url, path="/only-here")[0] == 404
    finally:
        one.stop()
        two.stop()


@NEEDS_COUCHDB
def test_an_installed_couchdb_opens_one_port_on_loopback_and_starts_no_daemon(tmp_path: Path) -> None:
    node = start("installed", tmp_path)
    try:
        assert node.name.startswith("installed Apache CouchDB 3")
        assert node.url.rpartition("@")[2].startswith("127.0.0.1:")
        assert request(node.url, path="/_users")[0] == 200
        assert stat.S_IMODE((tmp_path / "couchdb" / "couchdb.ini").stat().st_mode) == 0o600
    finally:
        node.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, lambda _: fake())
    yield server
    server.stop()


@pytest.mark.nodatabase
def test_a_stopped_server_is_gone_and_stopping_twice_is_stopping_once(server: Server) -> None:
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        request(server.url)


@pytest.mark.nodatabase
def test_what_a_server_started_goes_with_it(tmp_path: Path) -> None:
    parent = Server(tmp_path, lambda _: fake("import subprocess; subprocess.Popen(['sleep', '300'])" + FAKE))
    family = tree(int((tmp_path / "lock").read_text()))
    assert len(family) == 3
    parent.stop()
    assert poll(lambda: not any(alive(pid) for pid in family), PATIENCE)


@pytest.mark.nodatabase
def test_its_folder_is_its_owners(tmp_path: Path) -> None:
    Server(tmp_path / "new", lambda _: fake()).stop()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.nodatabase
@pytest.mark.usefixtures("server")
def test_it_is_out_of_reach_of_the_terminal(tmp_path: Path) -> None:
    keeper = int((tmp_path / "lock").read_text())
    assert os.getsid(keeper) == keeper != os.getsid(0)


@pytest.mark.nodatabase
def test_a_folder_has_one_server(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_DEADLINE", 0.1)
    keeper = (tmp_path / "lock").read_text()
    with pytest.raises(StartError, match=f"already runs in {tmp_path}.* kill -9 -- -{keeper}$"):
        Server(tmp_path, lambda _: fake())
    assert request(server.url)[0] == 200


@pytest.mark.nodatabase
def test_a_server_whose_keeper_was_killed_still_holds_its_folder(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STOP_DEADLINE", 0.1)
    keeper = int((tmp_path / "lock").read_text())
    os.kill(keeper, signal.SIGKILL)
    assert poll(lambda: not alive(keeper), PATIENCE)
    with pytest.raises(StartError, match=f"kill -9 -- -{keeper}$"):
        Server(tmp_path, lambda _: fake())
    assert request(server.url)[0] == 200
    os.killpg(keeper, signal.SIGKILL)
    monkeypatch.undo()
    Server(tmp_path, lambda _: fake()).stop()


@pytest.mark.nodatabase
def test_a_server_that_ignores_the_polite_signal_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_DEADLINE", 0.1)
    deaf = Server(tmp_path, lambda _: fake("import signal; signal.signal(15, signal.SIG_IGN)" + FAKE))
    family = tree(int((tmp_path / "lock").read_text()))
    deaf.stop()
    assert poll(lambda: not any(alive(pid) for pid in family), PATIENCE)


@pytest.mark.nodatabase
def test_a_server_that_ends_shows_its_last_words(tmp_path: Path) -> None:
    script = "import sys; sys.exit('\\n'.join(f'line {n}' for n in range(40)))"
    with pytest.raises(StartError) as raised:
        Server(tmp_path, lambda _: fake(script))
    message = str(raised.value)
    assert "did not start: it ended" in message
    assert str(tmp_path / "log") in message
    assert message.endswith("line 38\n    line 39")
    assert "line 20" not in message


@pytest.mark.nodatabase
def test_a_server_that_never_answers_is_given_up_and_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "START_DEADLINE", 0.5)
    with pytest.raises(StartError, match="did not answer within"):
        Server(tmp_path, lambda _: fake("import signal; signal.pause()"))
    keeper = int((tmp_path / "lock").read_text())
    assert poll(lambda: not alive(keeper), PATIENCE)


@pytest.mark.nodatabase
def test_a_stale_address_is_not_believed(server: Server, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "uri").write_text((tmp_path / "uri").read_text())
    second = Server(other, lambda _: fake())
    second.stop()
    assert second.url.rpartition(":")[2] != server.url.rpartition(":")[2]


@pytest.mark.nodatabase
def test_the_administrator_is_made_once_and_is_the_owners_secret(tmp_path: Path) -> None:
    first = process.admin(tmp_path)
    assert process.admin(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "admin").stat().st_mode) == 0o600
    assert len(first.partition(":")[2]) == 32

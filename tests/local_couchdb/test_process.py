"""Check that a database server ends with its starter, is alone in its folder, and reports a failed start."""

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
from tests.waiting import MAX_WAIT_SECONDS

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
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
pathlib.Path("uri.new").write_text(f"http://127.0.0.1:{server.server_port}/")
pathlib.Path("uri.new").rename("uri")
server.serve_forever()
"""


def fake(script: str = FAKE, port: int = 0) -> Command:
    return Command([sys.executable, "-c", script, str(port)])


def tree(root: int) -> set[int]:
    """Return the process ``root`` and its descendants."""
    ps = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in ps.stdout.splitlines()]
    pids: set[int] = set()
    new = {root}
    while new:
        pids |= new
        new = {pid for pid, parent in pairs if parent in new} - pids
    return pids


def alive(pid: int) -> bool:
    """Return whether ``pid`` runs; a zombie does not."""
    ps = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return not ps.stdout.startswith("Z") and ps.stdout.strip() != ""


class Starter:
    """Another process that starts a database in a folder, and runs until it is killed."""

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
def test_a_killed_starter_leaves_its_data_and_no_process(kind: str, tmp_path: Path) -> None:
    view = {"views": {"a": {"map": "function (doc) { emit(1); }"}}}
    with Starter(kind, tmp_path) as starter:
        request(starter.url, "PUT", "/scripts")
        request(starter.url, "PUT", "/scripts/_design/v", view)
        assert request(starter.url, "PUT", "/scripts/a", {"title": "kept"})[0] == 201
        assert request(starter.url, path="/scripts/_design/v/_view/a")[1]["total_rows"] == 1
        family = tree(starter.pid)
        assert len(family) >= 3  # Starter, keeper and server; CouchDB also has JavaScript processes.
    assert poll(lambda: not any(alive(pid) for pid in family), 20), "a process outlived its starter"
    again = start(kind, tmp_path)
    try:
        assert again.url.partition("@")[0] == starter.url.partition("@")[0], "the administrator changed"
        assert request(again.url, path="/scripts/a")[1]["title"] == "kept"
    finally:
        again.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_two_servers_run_side_by_side(kind: str, tmp_path: Path) -> None:
    one, two = start(kind, tmp_path / "one"), start(kind, tmp_path / "two")
    try:
        assert request(one.url, "PUT", "/only-here")[0] == 201
        assert request(two.url, path="/only-here")[0] == 404
    finally:
        one.stop()
        two.stop()


@NEEDS_COUCHDB
def test_an_installed_couchdb_listens_on_loopback(tmp_path: Path) -> None:
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
    server = Server(tmp_path, lambda *_: fake())
    yield server
    server.stop()


@pytest.mark.nodatabase
def test_a_server_can_be_stopped_twice(server: Server) -> None:
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        request(server.url)


@pytest.mark.nodatabase
def test_the_children_of_a_server_end_with_it(tmp_path: Path) -> None:
    parent = Server(tmp_path, lambda *_: fake("import subprocess; subprocess.Popen(['sleep', '300'])" + FAKE))
    family = tree(int((tmp_path / "lock").read_text()))
    assert len(family) == 3
    parent.stop()
    assert poll(lambda: not any(alive(pid) for pid in family), MAX_WAIT_SECONDS)


@pytest.mark.nodatabase
def test_only_the_owner_has_access_to_the_folder(tmp_path: Path) -> None:
    Server(tmp_path / "new", lambda *_: fake()).stop()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.nodatabase
@pytest.mark.usefixtures("server")
def test_the_keeper_has_its_own_session(tmp_path: Path) -> None:
    keeper = int((tmp_path / "lock").read_text())
    assert os.getsid(keeper) == keeper != os.getsid(0)


@pytest.mark.nodatabase
def test_a_folder_has_at_most_one_server(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 0.1)
    keeper = (tmp_path / "lock").read_text()
    with pytest.raises(StartError, match=f"already runs in {tmp_path}.* kill -9 -- -{keeper}$"):
        Server(tmp_path, lambda *_: fake())
    assert request(server.url)[0] == 200


@pytest.mark.nodatabase
def test_a_server_without_its_keeper_is_killed_by_the_next_start(server: Server, tmp_path: Path) -> None:
    keeper = int((tmp_path / "lock").read_text())
    os.kill(keeper, signal.SIGKILL)
    os.waitpid(keeper, 0)
    assert request(server.url)[0] == 200
    Server(tmp_path, lambda *_: fake()).stop()
    with pytest.raises(ConnectionRefusedError):
        request(server.url)


@pytest.mark.nodatabase
def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 0.1)
    server = Server(tmp_path, lambda *_: fake("import signal; signal.signal(15, signal.SIG_IGN)" + FAKE))
    family = tree(int((tmp_path / "lock").read_text()))
    server.stop()
    assert poll(lambda: not any(alive(pid) for pid in family), MAX_WAIT_SECONDS)


@pytest.mark.nodatabase
def test_a_failed_start_shows_the_end_of_the_log(tmp_path: Path) -> None:
    script = "import sys; sys.exit('\\n'.join(f'line {n}' for n in range(40)))"
    with pytest.raises(StartError) as raised:
        Server(tmp_path, lambda *_: fake(script))
    message = str(raised.value)
    assert "did not start: it ended" in message
    assert str(tmp_path / "log") in message
    assert message.endswith("line 38\n    line 39\n    the server ended with status 1")
    assert "line 20" not in message


@pytest.mark.nodatabase
def test_a_server_that_never_answers_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "START_SECONDS", 0.5)
    with pytest.raises(StartError, match="did not answer within"):
        Server(tmp_path, lambda *_: fake("import signal; signal.pause()"))
    keeper = int((tmp_path / "lock").read_text())
    assert poll(lambda: not alive(keeper), MAX_WAIT_SECONDS)


@pytest.mark.nodatabase
def test_a_stale_uri_file_is_ignored(server: Server, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "uri").write_text((tmp_path / "uri").read_text())
    second = Server(other, lambda *_: fake())
    second.stop()
    assert second.url.rpartition(":")[2] != server.url.rpartition(":")[2]


@pytest.mark.nodatabase
def test_the_administrator_is_generated_once(tmp_path: Path) -> None:
    first = process.admin(tmp_path)
    assert process.admin(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "admin").stat().st_mode) == 0o600
    assert len(first.partition(":")[2]) == 32

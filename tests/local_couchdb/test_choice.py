"""Which database server is chosen, and how it is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import local_couchdb as database
from app.local_couchdb.settings import DATABASE, TEST_DATABASE
from couchapp.settings import Setting, SettingError

ROOT = Path(__file__).parents[2]


def test_a_url_that_is_set_wins(server_url: str, tmp_path: Path) -> None:
    chosen = database.choose({"COUCHDB_URL": server_url, "DREAMSCRIPT_DATABASE": "embedded"}, tmp_path)
    assert (chosen.url, chosen.origin) == (server_url, "COUCHDB_URL")
    assert any(name in chosen.name for name in ("Apache CouchDB", "PouchDB Server"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.nodatabase
def test_credentials_are_never_shown() -> None:
    url = "http://admin:secret@127.0.0.1:1"
    assert "secret" not in database.describe(url)
    assert "secret" not in repr(database.Running(url, database.describe(url), "COUCHDB_URL"))


@pytest.mark.nodatabase
def test_an_installed_couchdb_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(database.StartError, match="COUCHDB_HOME"):
        database.start("installed", tmp_path / "data", {"COUCHDB_HOME": str(tmp_path)})


def test_without_an_installed_couchdb_it_is_the_embedded_one(tmp_path: Path) -> None:
    server = database.start("auto", tmp_path / "data", {"COUCHDB_HOME": str(tmp_path)})
    server.stop()
    assert (server.origin, server.name[:23]) == ("embedded", "embedded PouchDB Server")


@pytest.mark.nodatabase
@pytest.mark.parametrize(("setting", "text"), [(DATABASE, "docker"), (DATABASE, "x"), (TEST_DATABASE, "Embedded")])
def test_an_unknown_kind_is_refused(setting: Setting, text: str) -> None:
    with pytest.raises(SettingError, match=f"{setting.name} must be one of auto,"):
        setting.read({setting.name: text})


def run_pytest(folder: Path, test: str, **environ: str) -> str:
    """Return what pytest prints for ``test`` under this project's fixtures."""
    (folder / "test_it.py").write_text("import pytest\n" + test)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "conftest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:schemathesis",
        "-rs",
    ]
    config = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), str(folder)]
    done = subprocess.run(
        [*command, *config],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.nodatabase
def test_no_database_is_started_for_tests_that_need_none(tmp_path: Path) -> None:
    shown = run_pytest(tmp_path, "def test_it(): pass", DREAMSCRIPT_TEST_DATABASE="docker", PATH="/nowhere")
    assert "database: none is needed" in shown
    assert "1 passed" in shown


@pytest.mark.nodatabase
def test_a_run_without_the_database_that_was_asked_for_ends_at_once(tmp_path: Path) -> None:
    shown = run_pytest(tmp_path, "def test_it(server_url): pass", DREAMSCRIPT_TEST_DATABASE="docker", PATH="/nowhere")
    assert "no Docker engine answers" in shown
    assert "passed" not in shown


@pytest.mark.nodatabase
def test_a_test_cannot_need_a_database_and_none(tmp_path: Path) -> None:
    shown = run_pytest(tmp_path, "@pytest.mark.nodatabase\ndef test_it(prefix): pass")
    assert "is marked nodatabase and asks for server_url" in shown


def test_what_only_couchdb_can_do_is_skipped_elsewhere(tmp_path: Path) -> None:
    test = "@pytest.mark.couchdb\ndef test_it(server_url): pass"
    shown = run_pytest(tmp_path, test, DREAMSCRIPT_TEST_DATABASE="embedded")
    assert "only Apache CouchDB can satisfy it, and this is embedded PouchDB Server" in shown
    assert "1 skipped" in shown


def test_a_prefix_takes_its_databases_with_it(server_url: str, tmp_path: Path) -> None:
    test = """
import pathlib
from app.local_couchdb.wire import request
def test_it(server_url, prefix):
    for room in ("documents", "projects", "keys", "meta"):
        assert request(server_url, "PUT", f"/{prefix}-{room}")[0] in (201, 202)
    pathlib.Path(__file__).with_name("prefix").write_text(prefix)
"""
    shown = run_pytest(tmp_path, test, DREAMSCRIPT_TEST_DATABASE="auto", COUCHDB_URL=server_url)
    assert "1 passed" in shown
    prefix = (tmp_path / "prefix").read_text()
    left = database.wire.request(server_url, path="/_all_dbs")[1]
    assert [name for name in left if name.startswith(prefix)] == []

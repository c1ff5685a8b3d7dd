"""Check which database server is started, and how it is described."""

from __future__ import annotations

import os
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest

from app import local_couchdb as database
from app.local_couchdb.settings import LocalSettings
from couchapp.settings import SettingError

ROOT = Path(__file__).parents[2]


def test_a_server_is_described_by_its_welcome(server_url: str) -> None:
    assert any(name in database.describe(server_url) for name in ("Apache CouchDB", "PouchDB Server"))


@pytest.mark.nodatabase
def test_credentials_are_never_shown() -> None:
    url = "http://admin:secret@127.0.0.1:1"
    assert "secret" not in database.describe(url)
    assert "secret" not in repr(database.Running(url, database.describe(url), "COUCHDB_URL"))


@pytest.mark.nodatabase
def test_a_missing_installed_couchdb_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(database.StartError, match="COUCHDB_HOME"):
        database.start("installed", tmp_path / "data", {"COUCHDB_HOME": str(tmp_path)})


def test_auto_is_embedded_without_an_installed_couchdb(tmp_path: Path) -> None:
    server = database.start("auto", tmp_path / "data", {"COUCHDB_HOME": str(tmp_path)})
    server.stop()
    assert (server.origin, server.name[:23]) == ("embedded", "embedded PouchDB Server")


@pytest.mark.nodatabase
@pytest.mark.parametrize(
    ("name", "text"),
    [("DREAMSCRIPT_DATABASE", "docker"), ("DREAMSCRIPT_DATABASE", "x"), ("DREAMSCRIPT_TEST_DATABASE", "Embedded")],
)
def test_an_unknown_kind_is_refused(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=f"{name} must be one of auto,"):
        LocalSettings.parse({name: text})


def run_pytest(folder: Path, test: str, **environ: str) -> str:
    """Return the output of pytest for ``test`` with this project's fixtures. It runs in this process, to be faster."""
    (folder / f"{folder.name}.py").write_text("import pytest\n" + test)  # A module of this process: its name is unique.
    plugins = ["-p", "conftest", "-p", "no:cacheprovider", "-p", "no:schemathesis"]
    options = ["-rs", "--capture=no", "-o", "timeout=0", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    output = StringIO()
    with patch.dict(os.environ, environ), redirect_stdout(output), redirect_stderr(output):
        pytest.main([*plugins, *options, str(folder / f"{folder.name}.py")])
    return output.getvalue()


@pytest.mark.nodatabase
def test_no_database_is_started_for_tests_without_one(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, "def test_it(): pass", DREAMSCRIPT_TEST_DATABASE="docker", PATH="/nowhere")
    assert "database: none is needed" in output
    assert "1 passed" in output


@pytest.mark.nodatabase
def test_a_nodatabase_test_may_not_use_a_database(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, "@pytest.mark.nodatabase\ndef test_it(prefix): pass")
    assert "is marked nodatabase and asks for server_url" in output


def test_a_couchdb_test_is_skipped_on_another_server(tmp_path: Path) -> None:
    test = "@pytest.mark.couchdb\ndef test_it(server_url): pass"
    output = run_pytest(tmp_path, test, DREAMSCRIPT_TEST_DATABASE="embedded")
    assert "only Apache CouchDB can satisfy it, and this is embedded PouchDB Server" in output
    assert "1 skipped" in output


def test_the_databases_of_a_prefix_are_deleted(server_url: str, tmp_path: Path) -> None:
    test = """
import pathlib
from app.local_couchdb.wire import request
def test_it(server_url, prefix):
    for database in ("documents", "projects", "history", "keys", "meta"):
        assert request(server_url, "PUT", f"/{prefix}-{database}")[0] in (201, 202)
    pathlib.Path(__file__).with_name("prefix").write_text(prefix)
"""
    output = run_pytest(tmp_path, test, DREAMSCRIPT_TEST_DATABASE="auto", COUCHDB_URL=server_url)
    assert "1 passed" in output
    prefix = (tmp_path / "prefix").read_text()
    names = database.wire.request(server_url, path="/_all_dbs")[1]
    assert [name for name in names if name.startswith(prefix)] == []

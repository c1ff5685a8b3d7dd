"""Check the deploy tool's exit statuses and output."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.couch.connection import Connection
from couchapp.cli import ADMINISTRATOR_NEEDED, VERBS, main
from tests.couchapp.conftest import Deploying

MAP = "(doc) => {\n  emit(doc._id);\n}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one view and one validator."""
    (tmp_path / "documents" / "listing" / "views" / "by_id").mkdir(parents=True)
    (tmp_path / "documents" / "listing" / "views" / "by_id" / "map.js").write_text(MAP)
    (tmp_path / "documents" / "validation").mkdir()
    (tmp_path / "documents" / "validation" / "validate_doc_update.js").write_text("(newDoc) => {\n}\n")
    return tmp_path


@pytest.fixture
def environ(server_url: str, prefix: str) -> dict[str, str]:
    """The environment of an operator."""
    return {"COUCHDB_ADMIN_URL": server_url, "DREAMSCRIPT_DATABASE_PREFIX": prefix}


def test_diff_deploy_and_rollback(
    folder: Path, environ: dict[str, str], prefix: str, deploying: Deploying, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(verb: str) -> tuple[int, str]:
        status = main(["--tree", str(folder), verb], environ)
        return status, capsys.readouterr().out

    status, out = run("diff")
    assert status == 1
    assert f"{prefix}-documents is missing" in out
    assert "+  emit(doc._id);" in out
    assert run("status")[1].endswith("documents/_design/listing: absent\ndocuments/_design/validation: absent\n")
    assert run("deploy")[0] == 0
    assert run("diff") == (0, "no changes: the 2 design documents are deployed as they are here\n")
    assert run("deploy") == (0, "deploy: nothing to do\n")
    (folder / "documents" / "listing" / "views" / "by_id" / "map.js").write_text(MAP.replace("_id", "_rev"))
    assert run("diff")[0] == 1
    assert run("stage")[0] == 0
    assert "documents/_design/listing: different, staged\n" in run("status")[1]
    assert [run(verb)[0] for verb in ("warm", "promote", "clean")] == [0, 0, 0]
    assert "documents/_design/listing: deployed, previous\n" in run("status")[1]
    assert run("rollback")[0] == 0
    assert "documents/_design/listing: different, previous\n" in run("status")[1]
    assert deploying({}).inventory() == {}


def test_a_missing_role_is_a_difference(
    folder: Path, environ: dict[str, str], prefix: str, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--tree", str(folder), "deploy"], environ) == 0
    connection.put(f"{prefix}-documents", "_security", body={"admins": {"names": [], "roles": ["_admin"]}})
    capsys.readouterr()
    assert main(["--tree", str(folder), "diff"], environ) == 1
    assert capsys.readouterr().out == f"{prefix}-documents is not secured: its _security lacks a role\n"
    assert main(["--tree", str(folder), "deploy"], environ) == 0
    assert main(["--tree", str(folder), "diff"], environ) == 0


@pytest.mark.parametrize(("verb", "message"), [("promote", "not staged: "), ("rollback", "no previous version")])
def test_a_step_out_of_order_fails(
    folder: Path, environ: dict[str, str], capsys: pytest.CaptureFixture[str], verb: str, message: str
) -> None:
    assert main(["--tree", str(folder), verb], environ) == 2
    assert message in capsys.readouterr().err


@pytest.mark.nodatabase
def test_a_missing_url_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff"], {"DREAMSCRIPT_VAR": str(tmp_path)}) == 2
    err = capsys.readouterr().err
    assert "COUCHDB_URL" in err
    assert "make run" in err


@pytest.mark.nodatabase
def test_a_missing_folder_or_server_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"COUCHDB_URL": "http://127.0.0.1:1"}
    assert main(["--tree", str(tmp_path / "none"), "diff"], environ) == 2
    assert "there is no such folder" in capsys.readouterr().err
    assert main(["diff"], environ) == 2
    assert (
        "COUCHDB_URL: no connection to 127.0.0.1:1: Connection refused. Start CouchDB there" in capsys.readouterr().err
    )


@pytest.mark.nodatabase
def test_help_lists_verbs_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["--help"], {})
    assert exit_info.value.code == 0
    out = capsys.readouterr().out
    for word in (*VERBS, "COUCHDB_URL", "COUCHDB_ADMIN_URL", "DREAMSCRIPT_DATABASE_PREFIX"):
        assert word in out


def test_a_user_without_administrator_rights_is_explained(
    folder: Path, environ: dict[str, str], server_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    anonymous = server_url.partition("://")[0] + "://" + server_url.rpartition("@")[2]
    assert main(["--tree", str(folder), "deploy"], environ | {"COUCHDB_ADMIN_URL": anonymous}) == 2
    assert ADMINISTRATOR_NEEDED in capsys.readouterr().err


@pytest.mark.nodatabase
def test_a_probable_typing_error_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff"], {"COUCHDB_ULR": "http://127.0.0.1:1", "DREAMSCRIPT_VAR": str(tmp_path)}) == 2
    assert "warning: COUCHDB_ULR is not a setting and is ignored: did you mean COUCHDB_URL?" in capsys.readouterr().err

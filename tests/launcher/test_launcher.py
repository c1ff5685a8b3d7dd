"""Check the launcher's command line, and `make help`."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import SETTINGS
from couchapp import running
from couchapp.settings import CouchSettings, SettingError
from launcher.address import AddressSettings, free_port
from launcher.folder import require_folder
from launcher.settings import LaunchSettings
from tests.couch.misbehaving_server import MisbehavingServer, answer
from tests.server.live import environment

pytestmark = pytest.mark.nodatabase

ROOT = Path(__file__).parents[2]


def launch(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the launcher as on a machine without packages: with the standard library alone."""
    command = [sys.executable, "-S", "-m", "launcher", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(**settings), capture_output=True, text=True, check=False)


def test_a_taken_port_is_reported_before_anything_is_installed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = launch("run", DREAMSCRIPT_PORT=str(port), DREAMSCRIPT_VAR=str(tmp_path / "var"))
    assert (failed.returncode, failed.stdout) == (2, "")
    assert f"another program listens on 127.0.0.1:{port}: stop it, or choose another port, as in" in failed.stderr
    assert f"DREAMSCRIPT_PORT={port + 1} make run" in failed.stderr
    assert not (tmp_path / "var").exists()


def test_a_second_run_on_the_same_data_is_reported(tmp_path: Path) -> None:
    claim = running.claim(tmp_path)
    claim.announce("http://127.0.0.1:8411")
    failed = launch("run", DREAMSCRIPT_PORT="0", DREAMSCRIPT_VAR=str(tmp_path))
    claim.close()
    assert (failed.returncode, failed.stdout) == (1, "")
    assert (
        f"already running on http://127.0.0.1:8411 with the data in {tmp_path} (process {os.getpid()})" in failed.stderr
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"DREAMSCRIPT_PORT": "eighty"}, "DREAMSCRIPT_PORT must be a port, 0 to 65535, not 'eighty'"),
        ({"DREAMSCRIPT_PORT": "80808"}, "DREAMSCRIPT_PORT must be a port, 0 to 65535, not '80808'"),
        ({"DREAMSCRIPT_HOST": "192.0.2.1"}, "DREAMSCRIPT_HOST must be an address of this machine"),
        ({"COUCHDB_URL": "http://127.0.0.1:1", "DREAMSCRIPT_PORT": "x"}, "DREAMSCRIPT_PORT must be"),
        ({"COUCHDB_URL": "localhost:5984"}, "COUCHDB_URL must be an http:// or https:// URL"),
        ({"DREAMSCRIPT_WORKERS": "abc"}, "DREAMSCRIPT_WORKERS must be a whole number"),
        ({"DREAMSCRIPT_REGION": "1"}, "DREAMSCRIPT_REGION must be below DREAMSCRIPT_REGIONS"),
    ],
)
def test_a_faulty_setting_is_reported_before_anything_is_installed(
    settings: dict[str, str], reason: str, tmp_path: Path
) -> None:
    # The folder of this checkout may be in use by `make run`.
    failed = launch("run", DREAMSCRIPT_VAR=str(tmp_path), **settings)
    assert failed.returncode == 2
    assert reason in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("name", ["file", "file/var"])
def test_a_folder_that_cannot_be_written_to_is_reported_before_anything_is_installed(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    failed = launch("run", DREAMSCRIPT_PORT="0", DREAMSCRIPT_VAR=str(tmp_path / name))
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("error: DREAMSCRIPT_VAR must be a folder where this user may create files, not")


def test_the_check_of_the_folder_leaves_no_file(tmp_path: Path) -> None:
    require_folder(CouchSettings(var=tmp_path / "new" / "var"))
    assert [*tmp_path.rglob("*")] == [tmp_path / "new", tmp_path / "new" / "var"]


@pytest.mark.parametrize("name", ["COUCHDB_URL", "COUCHDB_ADMIN_URL"])
def test_a_url_without_couchdb_is_reported_before_anything_is_installed(name: str) -> None:
    with MisbehavingServer(answer(200, {"couchdb": "Welcome"})) as server:
        settings = {"COUCHDB_URL": server.url, name: "http://admin:hunter2@127.0.0.1:1"}
        failed = launch("run", DREAMSCRIPT_PORT="0", **settings)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith(f"error: {name}: no connection to 127.0.0.1:1: Connection refused. Start CouchDB")


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run", "run"]])
def test_wrong_arguments_are_explained(arguments: list[str]) -> None:
    failed = launch(*arguments)
    assert (failed.returncode, failed.stderr) == (2, "usage: python3 -m launcher run|demo|install|tools\n")


def test_an_older_python_is_refused_with_the_correction() -> None:
    program = "import sys; sys.version_info = (3, 9, 1, 'final', 0); import launcher"
    failed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "Python 3.11 or newer is needed" in failed.stderr
    assert "make run PYTHON=python3.12" in failed.stderr


def test_the_system_chooses_a_port_for_0() -> None:
    assert free_port(AddressSettings(port=0)) > 1023


def test_a_privileged_port_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(SettingError, match="DREAMSCRIPT_PORT must be one that this user may open, from 1024 on"):
        free_port(AddressSettings(port=80))


def test_the_launcher_knows_only_settings_of_the_service() -> None:
    assert {row.name for row in LaunchSettings.rows()} <= {row.name for row in SETTINGS}


def test_make_help_lists_every_target_in_groups() -> None:
    # Within `make test`, make would also report the folders that it enters and leaves.
    command = ["make", "--no-print-directory", "help"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = output.splitlines()
    assert max(map(len, lines)) <= 80
    targets = [line for line in lines if line.startswith("  ")]
    assert len({line.index(line.split(maxsplit=1)[1]) for line in targets}) == 1, "the descriptions are not aligned"
    makefile = (ROOT / "Makefile").read_text()
    phony = makefile.rpartition(".PHONY:")[2].split()
    assert sorted(line.split()[0] for line in targets) == sorted(phony)
    groups = [line.removeprefix("##@ ") for line in makefile.splitlines() if line.startswith("##@ ")]
    assert [line for line in lines[1:] if line and not line.startswith(" ")] == groups

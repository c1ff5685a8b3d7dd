"""Check that one `make run` at a time uses a folder, and that the end of its processes frees it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from couchapp import running
from couchapp.running import Run, RunningElsewhere
from couchapp.settings import CouchSettings, SettingError

pytestmark = pytest.mark.nodatabase

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from pathlib import Path
from couchapp import running
claim = running.claim(Path(sys.argv[1]))
claim.announce("http://127.0.0.1:8411")
print("claimed", flush=True)
sys.stdin.read()
"""


class Holder:
    """Another process that has claimed a folder."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", HOLDER, str(folder)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        assert self.process.stdout.readline() == "claimed\n"

    def __enter__(self) -> subprocess.Popen[str]:
        return self.process

    def __exit__(self, *_: object) -> None:
        with self.process:
            self.process.kill()


def test_a_second_claim_names_the_first(tmp_path: Path) -> None:
    with Holder(tmp_path) as holder:
        assert running.current(tmp_path) == Run(holder.pid, "http://127.0.0.1:8411")
        with pytest.raises(RunningElsewhere) as raised:
            running.claim(tmp_path)
    message = str(raised.value)
    for part in ("http://127.0.0.1:8411", str(tmp_path), f"kill {holder.pid}", "DREAMSCRIPT_VAR", "DREAMSCRIPT_PORT"):
        assert part in message


def test_the_end_of_the_process_frees_the_folder(tmp_path: Path) -> None:
    assert not running.is_abandoned(tmp_path)
    with Holder(tmp_path):
        assert not running.is_abandoned(tmp_path)
    assert running.is_abandoned(tmp_path)
    assert running.current(tmp_path) is None
    running.claim(tmp_path).close()


def test_a_claim_can_be_closed(tmp_path: Path) -> None:
    running.claim(tmp_path).close()
    running.claim(tmp_path).close()


def test_a_run_whose_process_has_ended_is_not_alive(tmp_path: Path) -> None:
    with Holder(tmp_path) as holder:
        assert Run(holder.pid).is_alive
    holder.wait()
    assert not Run(holder.pid).is_alive
    assert Run(os.getpid()).is_alive


@pytest.mark.parametrize("text", ["", "{", "[]", '{"unknown": 1}'])
def test_a_damaged_record_is_no_error(tmp_path: Path, text: str) -> None:
    claim = running.claim(tmp_path)
    (tmp_path / running.NAME).write_text(text)
    assert running.current(tmp_path) is None
    with pytest.raises(RunningElsewhere, match="already running with the data in"):
        running.claim(tmp_path)
    claim.close()


def test_the_url_of_a_killed_run_is_not_used(tmp_path: Path) -> None:
    settings = CouchSettings(var=tmp_path)
    settings.url_file.write_text("http://admin:hunter2@127.0.0.1:5984\n")
    with Holder(tmp_path):
        assert settings.admin_url == "http://admin:hunter2@127.0.0.1:5984"
        assert settings.admin_url_name == "the database of `make run`"
    with pytest.raises(
        SettingError, match=f"unless `make run` is running with the same DREAMSCRIPT_VAR, here {tmp_path}"
    ):
        assert settings.admin_url

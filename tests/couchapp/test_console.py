"""Check that commands end without a traceback after Ctrl-C, and when the reader of their output has left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from couchapp.console import INTERRUPTED, READER_GONE
from tests.server.live import environment

pytestmark = pytest.mark.nodatabase

ROOT = Path(__file__).parents[2]
MAIN = "import os, signal, sys, time\nfrom couchapp.console import exit_status\n"


def run(program: str, *, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", MAIN + program]
    return subprocess.run(command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False)


@pytest.mark.parametrize("count", [1, 100_000])
def test_a_reader_that_has_left_is_no_error(count: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = run(f"sys.exit(exit_status(lambda: print('line\\n' * {count}) or 0))", stdout=writer)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (READER_GONE, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("count", [1, 100_000])
def test_output_without_space_is_a_sentence(count: int) -> None:
    with open("/dev/full", "w") as full:
        ended = run(f"sys.exit(exit_status(lambda: print('line\\n' * {count}) or 0))", stdout=full.fileno())
    assert (ended.returncode, ended.stderr) == (1, "error: the output could not be written: No space left on device\n")


def test_an_interruption_is_no_error() -> None:
    ended = run("sys.exit(exit_status(lambda: signal.raise_signal(signal.SIGINT) or time.sleep(60) or 0))")
    assert (ended.returncode, ended.stderr) == (INTERRUPTED, "")


def test_an_interruption_before_the_start_ends_the_command() -> None:
    program = """
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
os.kill(os.getpid(), signal.SIGINT)
sys.exit(exit_status(lambda: print("it ran") or 0))
"""
    ended = run(program)
    assert (ended.returncode, ended.stdout, ended.stderr) == (INTERRUPTED, "", "")


@pytest.mark.parametrize(
    ("module", "loaded"), [("app", "app.cli.main"), ("couchapp", "couchapp.cli"), ("launcher", "couchapp.running")]
)
def test_an_interruption_while_a_command_is_loaded_ends_it_without_a_traceback(module: str, loaded: str) -> None:
    program = f"""
import runpy
class Interruption:
    def find_spec(self, name, path, target=None):
        if name == {loaded!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interruption())
sys.argv[1:] = ["--help"]
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""
    command = [sys.executable, "-c", f"import os, signal, sys{program}"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment(), check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (INTERRUPTED, "", "")


@pytest.mark.parametrize("arguments", [("app", "keys", "list"), ("couchapp", "diff")])
def test_a_file_that_cannot_be_read_is_named(arguments: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "couchdb-url"
    file.mkdir()
    command = [sys.executable, "-m", *arguments]
    environ = environment(DREAMSCRIPT_VAR=str(tmp_path))
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environ, check=False)
    assert ended.stderr.partition(": ")[2] == f"{file}: Is a directory\n"


@pytest.mark.parametrize("module", ["app", "couchapp"])
@pytest.mark.parametrize(
    ("arguments", "hint"), [([], "the following arguments are required"), (["srve"], "choose from")]
)
def test_wrong_arguments_are_explained(module: str, arguments: list[str], hint: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment(), check=False)
    assert ended.returncode == 2
    assert hint in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("module", ["app", "couchapp"])
def test_help_can_be_cut(module: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", module, "--help"]
    ended = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert ended.returncode in (0, READER_GONE)  # argparse ignores failed writes.
    assert ended.stderr == ""

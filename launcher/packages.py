"""Creates .venv and installs the pinned packages, unless exactly these are installed."""

from __future__ import annotations

import fcntl
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher import commands
from launcher.commands import CommandFailed
from launcher.steps import Report, Steps

ROOT = Path(__file__).parent.parent
CONSTRAINTS = "constraints.txt"
# The name of the stamp in .venv and the file of requirements, for the service and for tests and checks.
SERVICE, TOOLS = ("installed", "requirements.txt"), ("tools-installed", "tests/requirements.txt")
VENV_HINT = "On Debian and Ubuntu the package python3-venv is needed: apt install python3-venv"
# pip reports "Collecting flask==3.1.3 (from -r requirements.txt (line 4))".
STEP_OF_PIP = re.compile(r"^(Collecting \S+|Installing collected packages|WARNING: Retrying)(?: \(from.*)?")


def install(steps: Steps, groups: tuple[tuple[str, str], ...], root: Path = ROOT) -> Path:
    """Install the packages of ``groups`` and return the Python that has them. Raises CommandFailed."""
    python = root / ".venv" / "bin" / "python"
    with _lock(root):
        for name, file in groups:
            stamp, digest = root / ".venv" / name, _digest(root, file)
            if stamp.exists() and stamp.read_text() == digest and python.exists():
                continue
            _create(steps, python)
            with steps.step(f"Installing the packages of {file}", "up to 3 minutes") as report:
                _pip(python, file, root, report)
            stamp.write_text(digest)
    return python


def _create(steps: Steps, python: Path) -> None:
    """Create the environment, unless it is there; one without a Python or pip that works is replaced."""
    if python.exists() and subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0:  # noqa: S603
        return
    folder = python.parent.parent
    with steps.step(f"Creating {folder.name}, an environment for Python", "up to 30 s") as report:
        try:
            command = [sys.executable, "-m", "venv", "--clear", str(folder)]
            commands.run(f"create {folder}", command, folder.parent, report)
        except CommandFailed as error:
            raise CommandFailed(f"{error}\n  {VENV_HINT}" if "ensurepip" in str(error) else str(error)) from error


def _pip(python: Path, file: str, root: Path, report: Report) -> None:
    def shorten(line: str) -> None:
        if match := STEP_OF_PIP.match(line.strip()):
            report(match[1])

    options = ["--disable-pip-version-check", "--progress-bar", "off", "--no-input", "-c", CONSTRAINTS, "-r", file]
    commands.run("install the Python packages", [str(python), "-m", "pip", "install", *options], root, shorten)


def _digest(root: Path, file: str) -> str:
    content = (root / file).read_bytes() + (root / CONSTRAINTS).read_bytes()
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _lock(root: Path) -> Iterator[None]:
    """Serialise concurrent installations in one checkout."""
    with (root / CONSTRAINTS).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

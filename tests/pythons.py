"""Runs the tests that need no database on each supported Python of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
VERSIONS = ("3.11", "3.12", "3.13")
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHERS = "--others"
REQUIREMENTS, CONSTRAINTS = "requirements.txt", "constraints.txt"
# The parts of tests/requirements.txt that these tests import; the constraints pin the versions.
PACKAGES = (
    *("compose-spec", "hypothesis", "jsonschema_rs", "kubernetes-validate", "promql-parser"),
    *("pytest", "pytest-timeout", "PyYAML", "websockets"),
)


def folders(path: str, home: Path) -> list[str]:
    """Return the folders that may hold a Python: those of ``path``, then those of pyenv."""
    return [*path.split(os.pathsep), *map(str, sorted(home.glob(".pyenv/versions/*/bin"), reverse=True))]


def find(version: str, places: Iterable[str]) -> str | None:
    """Return a Python of this ``version``, or None. It is run first, since a shim of pyenv exists but may not run."""
    for place in places:
        python = shutil.which(f"python{version}", path=place)
        script = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
        if python and _output([python, "-c", script]) == version:
            return python
    return None


def prepare(version: str, python: str) -> str:
    """Return the Python of an environment with the tests' packages; create or update it unless it is this one."""
    if version == RUNNING:
        return sys.executable
    folder = ROOT / "var" / "pythons" / version
    inside, stamp = folder / "bin" / "python", folder / "installed"
    pins = "\n".join([*((ROOT / name).read_text() for name in (REQUIREMENTS, CONSTRAINTS)), *PACKAGES])
    if not stamp.exists() or stamp.read_text() != pins:
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", REQUIREMENTS, *PACKAGES, "-c", CONSTRAINTS], cwd=ROOT, check=True)
        stamp.write_text(pins)
    return str(inside)


def main(arguments: list[str]) -> int:
    """Run the tests on each Python and return 0 if all passed.

    With ``--others`` first, this Python is left out. All other ``arguments`` go to pytest.
    """
    places = folders(os.environ.get("PATH", ""), Path.home())
    outcomes: dict[str, str] = {}
    versions: tuple[str, ...] = VERSIONS
    if arguments[:1] == [OTHERS]:
        arguments, versions = arguments[1:], tuple(version for version in VERSIONS if version != RUNNING)
    for version in versions:
        python = find(version, places)
        if python is None:
            outcomes[version] = "not installed here, so not tested"
            continue
        print(f"== Python {version}: {python}", flush=True)
        command = [prepare(version, python), "-m", "pytest", "-m", "nodatabase", "-p", "no:schemathesis", "-q"]
        status = subprocess.run([*command, *arguments], cwd=ROOT, check=False).returncode
        outcomes[version] = "passed" if status == 0 else f"failed: pytest ended with {status}"
    for version, outcome in outcomes.items():
        print(f"Python {version}: {outcome}")
    return int(any(outcome.startswith("failed") for outcome in outcomes.values()))


def _output(command: list[str]) -> str | None:
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    return process.stdout.strip() if process.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

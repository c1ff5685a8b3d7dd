"""Runs the tests that need no database on every Python that the project supports and this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
VERSIONS = ("3.11", "3.12", "3.13")
REQUIREMENTS = ("requirements.txt", "tests/requirements.txt", "constraints.txt")


def folders(path: str, home: Path) -> list[str]:
    """Return where Pythons may be: the folders of ``path``, then those of pyenv."""
    return [*path.split(os.pathsep), *map(str, sorted(home.glob(".pyenv/versions/*/bin"), reverse=True))]


def find(version: str, places: Iterable[str]) -> str | None:
    """Return a Python that runs and is ``version``; pyenv's shims are found, but run only for chosen versions."""
    for place in places:
        python = shutil.which(f"python{version}", path=place)
        ask = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
        if python and _output([python, "-c", ask]) == version:
            return python
    return None


def prepare(version: str, python: str) -> str:
    """Return the Python of an environment that holds what requirements.txt names, made or brought up to date."""
    folder = ROOT / "var" / "pythons" / version
    inside, stamp = folder / "bin" / "python", folder / "installed"
    requirements = "".join((ROOT / name).read_text() for name in REQUIREMENTS)
    if not stamp.exists() or stamp.read_text() != requirements:
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        service, tools, constraints = REQUIREMENTS
        subprocess.run([*install, "-r", service, "-r", tools, "-c", constraints], cwd=ROOT, check=True)
        stamp.write_text(requirements)
    return str(inside)


def main(arguments: list[str]) -> int:
    """Run the tests on each Python and return 0 if all passed; ``arguments`` go to pytest."""
    places = folders(os.environ.get("PATH", ""), Path.home())
    outcomes = {}
    for version in VERSIONS:
        python = find(version, places)
        if python is None:
            outcomes[version] = "not installed here, so not tried"
            continue
        print(f"== Python {version}: {python}", flush=True)
        command = [prepare(version, python), "-m", "pytest", "-m", "nodatabase", "-q", *arguments]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        outcomes[version] = "passed" if status == 0 else f"failed: pytest ended with {status}"
    for version, outcome in outcomes.items():
        print(f"Python {version}: {outcome}")
    return int(any(outcome.startswith("failed") for outcome in outcomes.values()))


def _output(command: list[str]) -> str | None:
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    return process.stdout.strip() if process.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

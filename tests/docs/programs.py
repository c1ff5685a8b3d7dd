"""Run programs of a page in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from app.local_couchdb.embedded import find_node

MIN_NODE_VERSION = 20
LIMIT_SECONDS = 60


def python_command(script: str, *arguments: str) -> list[str]:
    """Return the command that runs a script in Python."""
    return [sys.executable, "-c", script, *arguments]


def node_command(script: str, *arguments: str) -> list[str]:
    """Return the command that runs a module in Node, where `process.argv` has the arguments from 1."""
    return [find_node(MIN_NODE_VERSION)[0], "--input-type=module", "-e", script, *arguments]


def run(command: list[str], text: str = "", folder: Path | None = None) -> str:
    """Run a command with this input and return its output. Warnings and errors are assertion errors."""
    process = subprocess.run(
        command, input=text, capture_output=True, text=True, cwd=folder, timeout=LIMIT_SECONDS, check=False
    )
    assert (process.returncode, process.stderr) == (0, ""), process.stderr
    return process.stdout

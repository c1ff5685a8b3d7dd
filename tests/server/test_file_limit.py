"""A server process may open as many files, and so connections, as the system permits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.nodatabase

PROGRAM = """
import resource
from app.server.serve import MAX_OPEN_FILES, raise_file_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
raise_file_limit()
soft, unchanged = resource.getrlimit(resource.RLIMIT_NOFILE)
assert unchanged == hard
assert soft == (MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)), soft
"""


def test_the_limit_of_open_files_is_raised() -> None:
    command = [sys.executable, "-c", PROGRAM]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")

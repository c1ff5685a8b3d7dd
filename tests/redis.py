"""Start a Redis server for one test, on a free port and without files."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.ports import free_port

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")


class Redis(AbstractContextManager["Redis"]):
    """A server that can be stopped and restarted at the same ``url``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = ""
        while not self._port:
            port = str(free_port())
            # Another test run may have taken the port in between.
            self._port = port if self.start(port) else ""
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self, port: str = "") -> bool:
        """Start the server without data. Returns whether it is ready."""
        command = ["redis-server", "--bind", "127.0.0.1", "--port", port or self._port, "--save", "", "--logfile", ""]
        self._process = subprocess.Popen(command, cwd=self._directory, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        ready = any("eady to accept connections" in line for line in self._process.stdout)
        if not ready:
            self.stop()
        return ready

    def stop(self) -> None:
        """Kill the server."""
        self._process.kill()
        self._process.communicate()

    def __exit__(self, *_: object) -> None:
        self.stop()

"""Chooses and starts the database server of a test run, at most one, and only when a test needs it."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from testcontainers.core.container import DockerContainer

from app import database
from app.database import Running, StartError
from app.database.process import poll
from app.database.settings import TEST_DATABASE
from app.database.wire import welcome
from couchapp.settings import COUCHDB_URL

IMAGE = "couchdb:3.5"
START_DEADLINE = 60.0


class TestDatabase:
    """The server of one run, started by whoever asks first; a failure to start is told to all who ask."""

    __test__ = False

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="dreamscript-test-")
        self._running: Running | None = None
        self._failure: StartError | None = None

    @property
    def running(self) -> Running:
        """The server. Raises StartError."""
        if self._failure:
            raise self._failure
        if not self._running:
            try:
                self._running = start(os.environ, Path(self._directory.name))
            except StartError as failure:
                self._failure = failure
                raise
        return self._running

    @property
    def title(self) -> str:
        """What stands in pytest's header."""
        try:
            server = self.running
        except StartError as failure:
            return f"none: {failure}"
        forced = os.environ.get(TEST_DATABASE.name, TEST_DATABASE.default)
        chosen = (
            "named by COUCHDB_URL" if server.origin == "COUCHDB_URL" else f"{TEST_DATABASE.name}={forced}"
        )
        return f"{server.name}, {chosen}"

    def stop(self) -> None:
        """Stop the server if there is one, and forget its data."""
        if self._running:
            self._running.stop()
        self._directory.cleanup()


def start(environ: Mapping[str, str], directory: Path) -> Running:
    """Start the server that ``environ`` asks for, or the first there is. Raises StartError."""
    kind = TEST_DATABASE.read(environ)
    url = COUCHDB_URL.read(environ)
    if kind == "auto" and url:
        return Running(url, database.describe(url), "COUCHDB_URL")
    if kind == "docker" or (kind == "auto" and docker_answers()):
        return start_docker()
    return database.start(kind, directory, environ)


def docker_answers() -> bool:
    """Return whether a Docker engine answers at once; its own client asks, and says nothing here."""
    try:
        asked = subprocess.run(["docker", "version"], capture_output=True, timeout=2, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def start_docker() -> Running:
    """Start CouchDB in a container. Raises StartError."""
    password = base64.b16encode(os.urandom(16)).decode().lower()
    container = (
        DockerContainer(IMAGE).with_env("COUCHDB_USER", "admin").with_env("COUCHDB_PASSWORD", password)
    )
    try:
        container.with_exposed_ports(5984).start()
    except Exception as error:  # The client's failures have no class in common.
        raise StartError(f"Docker did not start {IMAGE}: {error}") from error
    url = f"http://admin:{password}@{container.get_container_host_ip()}:{container.get_exposed_port(5984)}"
    if not poll(lambda: welcome(url), START_DEADLINE):
        container.stop()
        raise StartError(f"{IMAGE} did not answer within {START_DEADLINE:.0f} seconds")
    return Running(url, f"Docker image {IMAGE}: {database.describe(url)}", "docker", container.stop)

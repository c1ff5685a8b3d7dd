"""Chooses and starts the database server of a test run: at most one, and only when a test needs it."""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from app import local_couchdb as database
from app.local_couchdb import Running, StartError
from app.local_couchdb.process import poll
from app.local_couchdb.settings import LocalSettings
from app.local_couchdb.wire import read, request

IMAGE = "couchdb:3.5"
START_SECONDS = 60.0  # Once the image is pulled.


class TestDatabase:
    """The server of one run, started on first use."""

    __test__ = False

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="dreamscript-test-")
        self._running: Running | None = None

    @property
    def running(self) -> Running:
        """The server. Raises StartError."""
        if not self._running:
            self._running = start(os.environ, Path(self._directory.name))
        return self._running

    @property
    def title(self) -> str:
        """The line for pytest's header. Raises StartError."""
        server = self.running
        setting = f"DREAMSCRIPT_TEST_DATABASE={LocalSettings.parse(os.environ).test_database}"
        return f"{server.name}, chosen by {'COUCHDB_URL' if server.origin == 'COUCHDB_URL' else setting}"

    def stop(self) -> None:
        """Stop the server, if it was started, and delete its data."""
        if self._running:
            self._running.stop()
        self._directory.cleanup()


def start(environ: Mapping[str, str], directory: Path) -> Running:
    """Start the server that ``environ`` names, or the first available one. Raises StartError and SettingError."""
    settings = LocalSettings.parse(environ)
    kind, url = settings.test_database, settings.couchdb_url
    if kind == "auto" and url:
        return Running(url, database.describe(url), "COUCHDB_URL")
    if kind == "docker" or (kind == "auto" and docker_answers()):
        return start_docker()
    return database.start(kind, directory, environ)


def docker_answers() -> bool:
    """Return whether a Docker engine answers ``docker version`` within two seconds."""
    try:
        answer = subprocess.run(["docker", "version"], capture_output=True, timeout=2, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def start_docker() -> Running:
    """Start CouchDB in a container. Raises StartError."""
    if not docker_answers():
        raise StartError(f"no Docker engine answers `docker version`, so {IMAGE} cannot be started")
    try:  # Imported here because it takes a second, and runs without a database must not need it.
        from testcontainers.core.container import DockerContainer
    except ImportError as error:
        raise StartError(f"{IMAGE} is started by testcontainers, which is not installed") from error
    password = secrets.token_hex(16)
    container = DockerContainer(IMAGE).with_env("COUCHDB_USER", "admin").with_env("COUCHDB_PASSWORD", password)
    try:
        container.with_exposed_ports(5984).start()
    except Exception as error:  # The client's failures have no class in common.
        raise StartError(f"Docker did not start {IMAGE}: {error}") from error
    url = f"http://admin:{password}@{container.get_container_host_ip()}:{container.get_exposed_port(5984)}"
    if not poll(lambda: read(url), START_SECONDS):
        container.stop()
        raise StartError(f"{IMAGE} did not answer within {START_SECONDS:.0f} seconds")
    for system in ("_users", "_replicator"):  # The image does not create them.
        request(url, "PUT", f"/{system}")
    return Running(url, f"Docker image {IMAGE}: {database.describe(url)}", "docker", container.stop)

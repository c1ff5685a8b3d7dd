"""A private database server that can be paused, killed and restarted on the same data and port."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from app.local_couchdb import embedded, installed
from app.local_couchdb.process import Command, Server
from app.local_couchdb.settings import LocalSettings
from proofs.process_group import ProcessGroup
from tests.ports import reserve_port


class Node:
    """An installed CouchDB, or the embedded server; ``directory`` is for its data."""

    def __init__(self, kind: str, directory: Path) -> None:
        self._directory = directory.resolve() / kind
        self._processes = ProcessGroup(self._directory)
        self._prepare = self._installed if kind == "installed" else self._embedded
        self._reserved = reserve_port()
        self._server = Server(self._directory, self._prepare)
        self.url = self._server.url

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self._reserved.close()

    def kill(self) -> None:
        """Kill the server and all of its processes at once, like a power loss; data written by the system stays."""
        self._processes.kill()
        self._server.stop()

    def start(self) -> None:
        """Restart a killed server, and wait until it answers."""
        self._server = Server(self._directory, self._prepare)
        assert self._server.url == self.url

    def back_up(self, folder: Path) -> None:
        """Copy the files of a killed server into a new ``folder``."""
        shutil.copytree(self._directory, folder)

    def put_back(self, folder: Path) -> None:
        """Replace the files of a killed server by those in ``folder``."""
        shutil.rmtree(self._directory)
        shutil.copytree(folder, self._directory)

    def paused(self) -> AbstractContextManager[None]:
        """Stop the processes: connections are accepted and never answered."""
        return self._processes.paused()

    @property
    def _port(self) -> int:
        port: int = self._reserved.getsockname()[1]
        return port

    def _embedded(self, directory: Path, _: int) -> Command:
        return embedded.prepare(directory, self._port)

    def _installed(self, directory: Path, _: int) -> Command:
        command = installed.prepare(LocalSettings.parse(os.environ).couchdb_home, directory, 0)
        port = directory / "port.ini"
        port.write_text(f"[chttpd]\nport = {self._port}\n")
        return Command([*command.arguments, str(port)], command.environ)

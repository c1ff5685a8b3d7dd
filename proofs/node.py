"""A private database server that can be paused, killed and restarted on the same data and port."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.local_couchdb import embedded, installed
from app.local_couchdb.process import Command, Server
from app.local_couchdb.settings import LocalSettings


class Node:
    """An installed CouchDB, else an embedded server, which cannot be killed and restarted on its port."""

    def __init__(self, kind: str, directory: Path) -> None:
        self._directory = directory.resolve() / kind
        self._prepare = self._installed if kind == "installed" else embedded.prepare
        # Bound without listening, so that no other process gets the port while the server is down.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self._server = Server(self._directory, self._prepare)
        self.url = self._server.url

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self._reserved.close()

    def kill(self) -> None:
        """Kill the server and all of its processes at once, like a power loss; data written by the system stays."""
        self._signal(signal.SIGKILL)
        self._server.stop()

    def start(self) -> None:
        """Restart a killed server, and wait until it answers."""
        self._server = Server(self._directory, self._prepare)
        assert self._server.url == self.url

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the processes: connections are accepted and never answered."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        # The lock names the process group of the server and of the keeper that started it.
        os.killpg(int((self._directory / "lock").read_text()), number)

    def _installed(self, directory: Path, _port: int) -> Command:
        command = installed.prepare(LocalSettings.parse(os.environ).couchdb_home, directory, 0)
        port = directory / "port.ini"
        port.write_text(f"[chttpd]\nport = {self._reserved.getsockname()[1]}\n")
        return Command([*command.arguments, str(port)], command.environ)

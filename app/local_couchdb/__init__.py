"""Starts a database server if none is configured: an installed Apache CouchDB, else an embedded PouchDB Server."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from app.local_couchdb import embedded, installed
from app.local_couchdb.process import Server, StartError
from app.local_couchdb.restarts import Restarts
from app.local_couchdb.settings import LocalSettings
from app.local_couchdb.wire import read

__all__ = ["Running", "StartError", "describe", "start"]

Origin = Literal["COUCHDB_URL", "docker", "installed", "embedded"]


@dataclass(frozen=True)
class Running:
    """A running database server: its URL with credentials and no trailing slash, its name, and where it comes from.

    ``keep`` restarts a server that has ended, and returns False if that would not help (Restarts.keep_running).
    """

    url: str = field(repr=False)
    name: str
    origin: Origin
    stop: Callable[[], None] = field(default=lambda: None, repr=False)
    keep: Callable[[], bool] = field(default=lambda: True, repr=False)


def is_installed(kind: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether the server that ``start`` would start for ``kind`` is installed."""
    return _is_couchdb(kind, LocalSettings.parse(environ).couchdb_home) or embedded.is_installed()


def install(report: Callable[[str], None]) -> None:
    """Install the embedded server, and report each line of the installers' output. Raises StartError."""
    embedded.install(report)


def _is_couchdb(kind: str, home: Path) -> bool:
    return kind == "installed" or (kind == "auto" and installed.is_at(home))


def start(kind: str, directory: Path, environ: Mapping[str, str] = os.environ) -> Running:
    """Start an "installed" or "embedded" server, or with "auto" an installed one if there is one.

    Its data is in a subfolder of ``directory`` for each kind. It listens on a free port of the loopback interface, and
    ends when it is stopped or when this process ends for any reason, including SIGKILL. Raises StartError.
    """
    home = LocalSettings.parse(environ).couchdb_home
    if _is_couchdb(kind, home):
        server = Server(directory.resolve() / "couchdb", partial(installed.prepare, home))
        return Running(
            server.url, f"installed {describe(server.url)}", "installed", server.stop, Restarts(server).keep_running
        )
    server = Server(directory.resolve() / "pouchdb", embedded.prepare)
    return Running(server.url, embedded.name(), "embedded", server.stop, Restarts(server).keep_running)


def describe(url: str) -> str:
    """Return the name and version that the server at ``url`` reports, without the credentials in ``url``."""
    welcome: dict[str, Any] = read(url) or {}
    if "express-pouchdb" in welcome:
        return f"PouchDB Server (express-pouchdb {welcome['version']})"
    if "couchdb" in welcome:
        return f"Apache CouchDB {welcome['version']}"
    return f"an unidentified server at {urlsplit(url).hostname}"

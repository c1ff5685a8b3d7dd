"""A database server for those who have none: an installed Apache CouchDB, else an embedded PouchDB Server."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from app.local_couchdb import embedded, installed
from app.local_couchdb.process import Server, StartError
from app.local_couchdb.settings import COUCHDB_HOME, DATABASE
from app.local_couchdb.wire import read
from couchapp.settings import COUCHDB_URL

__all__ = ["Running", "StartError", "choose", "describe", "start"]

Kind = Literal["auto", "installed", "embedded"]
Origin = Literal["COUCHDB_URL", "docker", "installed", "embedded"]


@dataclass(frozen=True)
class Running:
    """A database server that answers: its URL with credentials and no slash at its end, and what it is."""

    url: str = field(repr=False)
    name: str
    origin: Origin
    stop: Callable[[], None] = field(default=lambda: None, repr=False)


def choose(environ: Mapping[str, str], directory: Path) -> Running:
    """Return the server that ``environ`` names by COUCHDB_URL, else start one in ``directory``.

    Raises StartError and couchapp.settings.SettingError.
    """
    url = COUCHDB_URL.read(environ)
    if url:
        return Running(url, describe(url), "COUCHDB_URL")
    return start(DATABASE.read(environ), directory, environ)


def start(kind: Kind, directory: Path, environ: Mapping[str, str] = os.environ) -> Running:
    """Start a server that keeps its data in a folder below ``directory``, a folder for each kind.

    It listens on a free port of loopback, and ends when it is stopped or when this process ends, however
    that comes. ``auto`` is an installed CouchDB if there is one. Raises StartError.
    """
    home: Path = COUCHDB_HOME.read(environ)
    if kind == "installed" or (kind == "auto" and installed.is_at(home)):
        server = Server(directory.resolve() / "couchdb", lambda folder: installed.prepare(home, folder))
        return Running(server.url, f"installed {describe(server.url)}", "installed", server.stop)
    server = Server(directory.resolve() / "pouchdb", embedded.prepare)
    return Running(server.url, embedded.name(), "embedded", server.stop)


def describe(url: str) -> str:
    """Return what the server at ``url`` is, by its own welcome and without the credentials in ``url``."""
    said: dict[str, Any] = read(url) or {}
    if "express-pouchdb" in said:
        return f"PouchDB Server (express-pouchdb {said['version']})"
    if "couchdb" in said:
        return f"Apache CouchDB {said['version']}"
    return f"a server that did not say what it is, at {urlsplit(url).hostname}"

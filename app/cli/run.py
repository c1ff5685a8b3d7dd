"""`make run`: from an empty machine to a service that answers, with a database, its views and a key to try it."""

from __future__ import annotations

import argparse
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.couch.connection import Connection
from app.domain.access import SCOPES
from app.domain.clock import now
from app.local_couchdb import start
from app.local_couchdb.settings import DATABASE
from app.server.serve import Server
from app.settings import HOST, PORT, SECRET_KEY, SETTINGS, Settings, secret_file
from app.wiring import Services
from couchapp import deployment, tree
from couchapp.settings import COUCHDB_URL, VAR, SettingError, admin_url, local_url

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def register(commands: Commands) -> None:
    """Add the command."""
    running = commands.add_parser("run", help="start a database if none is set, deploy the views, and serve")
    running.set_defaults(command=run)


def run(_: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM or SIGINT; the database that was started for it ends with it."""
    require_usable(environ)
    ensure_secret(environ)
    with database(environ):
        settings = Settings.read(environ)
        connection = Connection(admin_url(environ))
        deployment.deploy(connection, settings.prefix, tree.load(), report=say)
        connection.close()
        say(development_key(environ, Services.build(settings), settings))
        Server(settings).run()
    return 0


def say(line: str) -> None:
    """Tell the person at the terminal."""
    print(line, flush=True)


def require_usable(environ: Mapping[str, str]) -> None:
    """Raise SettingError for what would otherwise fail only after a database was started and deployed to."""
    for setting in SETTINGS:
        setting.read(environ)
    host, port = HOST.read(environ), PORT.read(environ)
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise SettingError(
            f"DREAMSCRIPT_PORT must be free, and {host}:{port} is not to be had: {error.strerror}"
        ) from error


def ensure_secret(environ: Mapping[str, str]) -> None:
    """Make a secret on the first start, unless one is set."""
    file = secret_file(environ)
    if SECRET_KEY.read(environ) is None and not file.exists():
        write_private(file, secrets.token_urlsafe(48))


@contextmanager
def database(environ: Mapping[str, str]) -> Iterator[None]:
    """Have a database for as long as the context lasts, and leave its URL where other commands find it."""
    if COUCHDB_URL.read(environ) is not None:
        yield
        return
    running, file, parent = (
        start(DATABASE.read(environ), VAR.read(environ), environ),
        local_url(environ),
        os.getpid(),
    )
    say(f"Database: {running.name}; Fauxton: {running.url}/_utils/")
    write_private(file, running.url)
    try:
        yield
    finally:
        # Gunicorn's workers leave through here as well, and must not take the database with them.
        if os.getpid() == parent:
            file.unlink(missing_ok=True)
            running.stop()


def development_key(environ: Mapping[str, str], services: Services, settings: Settings) -> str:
    """Return what to paste to make a first request; a key is made if the installation has none at all."""
    file: Path = VAR.read(environ) / "development-key"
    if next(iter(services.keys.all()), None) is None:
        _, text = services.keys.create("development", SCOPES, env="dev")
        write_private(file, text)
        return f"Development key, kept in {file}:\n  {text}\n" + curl(settings, text)
    # Not by way of the authenticator, since this is no use of the key.
    key = services.keys.recognise(file.read_text().strip()) if file.exists() else None
    if key is None or not key.is_alive(now()):
        return (
            f"{file} holds no key that this database and secret know. Make one with:\n"
            "  .venv/bin/python -m app keys create NAME --scope documents:read"
        )
    return "The development key still works:\n" + curl(settings, f"$(cat {file})")


def curl(settings: Settings, key: str) -> str:
    """Return a line that can be pasted into a shell."""
    return f'  curl -H "X-API-Key: {key}" http://{settings.host}:{settings.port}/documents'


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text + "\n")
    fresh.replace(file)

"""`make run`: on an empty machine, start a database, deploy the views, make a key, and serve."""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.couch.connection import Connection
from app.domain.access import SCOPES
from app.domain.resources import now
from app.local_couchdb import start
from app.server.serve import free_port, serve
from app.settings import Settings
from app.wiring import Services
from couchapp import deployment, tree

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def register(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("run", help="start a database if none is set, deploy the views, and serve")
    command.set_defaults(command=run)


def run(_: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM or SIGINT; a database that this command started stops with it."""
    settings = Settings.parse(environ)
    # Fail before a database is started and deployed to.
    free_port(settings)
    ensure_secret(settings)
    with database(settings, environ) as is_database_kept:
        settings = Settings.read(environ)
        with closing(Connection(settings.admin_url)) as connection:
            deployment.deploy(connection, settings.prefix, tree.load(), report=show)
        with closing(Services.build(settings)) as services:
            show(development_key(settings, services))
        return serve(settings, is_database_kept)


def show(line: str) -> None:
    """Print a line on the terminal at once."""
    print(line, flush=True)


def ensure_secret(settings: Settings) -> None:
    """Make a secret on the first start, unless one is set."""
    if not settings.secrets and not settings.secret_file.exists():
        write_private(settings.secret_file, secrets.token_urlsafe(48))


@contextmanager
def database(settings: Settings, environ: Mapping[str, str]) -> Iterator[Callable[[], bool]]:
    """Run a database while the context lasts, unless one is set, and leave its URL where other commands find it.

    Yields a function that restarts a database that has ended, and returns False if it keeps ending.
    """
    if settings.couchdb_url:
        yield lambda: True
        return
    running = start(settings.database, settings.var, environ)
    show(f"Database: {running.name}; Fauxton: {running.url}/_utils/")
    write_private(settings.url_file, running.url)
    try:
        yield running.keep
    finally:
        settings.url_file.unlink(missing_ok=True)
        running.stop()


def development_key(settings: Settings, services: Services) -> str:
    """Return a curl line for the first request; make a key if the installation has none."""
    file = settings.var / "development-key"
    if next(iter(services.keys.all()), None) is None:
        _, text = services.keys.create("development", SCOPES, env="dev")
        write_private(file, text)
        return f"Development key, stored in {file}:\n  {text}\n" + curl(settings, text)
    # The authenticator would record this as a use of the key.
    key = services.keys.recognise(file.read_text().strip()) if file.exists() else None
    if key is None or not key.is_alive(now()):
        return (
            f"{file} holds no valid key for this database and secret. Make one with:\n"
            "  .venv/bin/python -m app keys create NAME --scope documents:read"
        )
    return "The development key still works:\n" + curl(settings, f"$(cat {file})")


def curl(settings: Settings, key: str) -> str:
    """Return a line that can be pasted into a shell."""
    return f'  curl -H "X-API-Key: {key}" http://{settings.host}:{settings.port}/documents'


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text + "\n")
    new.replace(file)

"""`make run`: on an empty machine, start a database, deploy the views, make a key, and serve."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app import local_couchdb
from app.cli.banner import DevelopmentKey, Storage, banner, base_url
from app.cli.development_key import development_key, write_private
from app.couch.connection import Connection
from app.local_couchdb import Running
from app.server.serve import serve
from app.settings import Settings, weaknesses
from app.wiring import build_services
from couchapp import deployment, running, tree
from couchapp.running import Claim
from couchapp.server_check import check_server, has_fauxton
from launcher.address import free_port
from launcher.folder import require_folder
from launcher.steps import Steps

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

# Takes the URL of the service and its development key.
Show = Callable[[str, DevelopmentKey], None]

# The processes of a killed `make run` end within this time.
PREVIOUS_SECONDS = 30.0
PAUSE_SECONDS = 0.1


def register(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("run", help="start a database if none is set, deploy the views, and serve")
    command.set_defaults(command=run)


def run(_: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM or SIGINT; a database that this command started stops with it."""
    return start(environ)


def start(environ: Mapping[str, str], show: Show = lambda _url, _key: None) -> int:
    """Carry out the command. Call ``show`` with the URL and the development key when the service is ready."""
    settings, steps = Settings.parse(environ), Steps()
    for weakness in weaknesses(settings.secrets):
        print(f"warning: {weakness}", file=sys.stderr, flush=True)
    # Fail before a database is started and deployed to.
    free_port(settings)
    require_folder(settings)
    with claimed(settings, steps) as claim, database(settings, environ, steps) as server:
        secret = ensure_secret(settings)
        own = {"COUCHDB_URL": server.url, "COUCHDB_ADMIN_URL": server.url} if claim else {}
        settings = Settings.parse({**environ, **own, "DREAMSCRIPT_SECRET_KEY": secret})
        deploy(settings, steps)
        with closing(build_services(settings)) as services:
            key = development_key(settings, services, place(server))

        def ready(host: str, port: int) -> None:
            url = base_url(host, port)
            if claim:
                claim.announce(url)
            folder = settings.var.resolve() if claim else None
            storage = Storage(server.name, server.url, folder, has_fauxton(server.url))
            steps.print(banner(url, key, storage))
            show(url, key)

        return serve(settings, server.keep, ready)


def ensure_secret(settings: Settings) -> str:
    """Return the secret that is set, or else the one of the folder, which is made on the first start."""
    if settings.secrets:
        return ",".join(settings.secrets)
    if not settings.local_secret:
        write_private(settings.secret_file, secrets.token_urlsafe(48))
    return settings.local_secret


@contextmanager
def claimed(settings: Settings, steps: Steps) -> Iterator[Claim | None]:
    """Reserve the folder of the local database while the context lasts; nothing if another database is set.

    Wait for the last processes of a `make run` that was killed. Raises RunningElsewhere.
    """
    if settings.couchdb_url:
        yield None
        return
    previous = running.current(settings.var)
    if previous and not previous.is_alive:
        with steps.step("Waiting for the processes of an earlier make run", "up to 30 s"):
            deadline = time.monotonic() + PREVIOUS_SECONDS
            while running.current(settings.var) and time.monotonic() < deadline:
                time.sleep(PAUSE_SECONDS)
    with closing(running.claim(settings.var)) as claim:
        yield claim


@contextmanager
def database(settings: Settings, environ: Mapping[str, str], steps: Steps) -> Iterator[Running]:
    """Provide the database that is set, or run one while the context lasts and store its URL for other commands."""
    if settings.couchdb_url:
        check_server(settings.couchdb_url, "COUCHDB_URL")
        yield Running(settings.couchdb_url, local_couchdb.describe(settings.couchdb_url), "COUCHDB_URL")
        return
    if not local_couchdb.is_installed(settings.database, environ):
        with steps.step("Installing the embedded database, once", "45 MB, up to 2 minutes") as report:
            local_couchdb.install(report)
    with steps.step("Starting the database", "some seconds"):
        server = local_couchdb.start(settings.database, settings.var, environ)
    write_private(settings.url_file, server.url)
    try:
        yield server
    finally:
        settings.url_file.unlink(missing_ok=True)
        server.stop()


def deploy(settings: Settings, steps: Steps) -> None:
    """Deploy the design documents. Raises NotCouchDB, DeployError and DatabaseError."""
    design_docs = tree.load()
    if settings.couchdb_admin_url:
        check_server(settings.couchdb_admin_url, "COUCHDB_ADMIN_URL")
    with closing(Connection(settings.admin_url)) as connection:
        count = sum(len(documents) for documents in design_docs.values())
        # An index that takes long to build shows a progress bar of its own.
        expected = "seconds, or minutes if there are many documents"
        with steps.step(f"Deploying {count} design documents", expected, is_ticking=False) as report:
            deployment.deploy(connection, settings.prefix, design_docs, report=report)


def place(server: Running) -> str:
    """Return the words that distinguish this database server from others that the folder may be used with."""
    return server.origin if server.origin != "COUCHDB_URL" else urlsplit(server.url).netloc.rpartition("@")[2]

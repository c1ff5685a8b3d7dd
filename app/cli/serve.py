"""`python -m app serve`: the command for production, which starts and deploys nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.server import serve as server
from app.settings import Settings
from couchapp.server_check import NotCouchDB, check_server
from launcher.address import free_port

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def register(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("serve", help="serve the API; the database and its views must be there")
    command.set_defaults(command=serve)


def serve(_: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM or SIGINT. A database that cannot be reached yet is a warning: it may start later."""
    settings = Settings.read(environ)
    free_port(settings)
    try:
        check_server(settings.couchdb_url, "COUCHDB_URL")
    except NotCouchDB as failure:
        print(f"warning: {failure}. Until then requests are answered with 503", file=sys.stderr, flush=True)
    return server.serve(settings)

"""`python -m app feeds renew`: ends every cursor of `GET /changes` after files or snapshots were put back."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from app.couch.connection import Connection
from couchapp import feed_identity, tree
from couchapp.databases import Databases
from couchapp.server_check import check_server
from couchapp.settings import CouchSettings

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def register(commands: Commands) -> None:
    """Add the command and its verb."""
    description = (
        "Give every database a new feed identity, after its files or a snapshot were put back: clients that follow the"
        " changes then begin again (410) instead of missing the changes that were lost."
    )
    feeds = commands.add_parser("feeds", help="renew the feed identities after a restore", description=description)
    verbs = feeds.add_subparsers(required=True, metavar="VERB", title="verbs")
    command = verbs.add_parser("renew", help="end every cursor of the changes", description=description)
    command.add_argument("--json", action="store_true", help="print one JSON object with the identity of each database")
    command.set_defaults(command=renew)


def renew(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Renew the identity of every database, and print them."""
    settings = CouchSettings.parse(environ)
    check_server(settings.admin_url, settings.admin_url_name)
    with closing(Connection(settings.admin_url)) as connection:
        databases = Databases(connection, settings.prefix)
        identities = {databases.full_name(name): feed_identity.renew(databases, name) for name in tree.load()}
    if options.json:
        print(json.dumps(identities))
    else:
        print("\n".join(f"{name}: the feed identity is renewed" for name in identities))
    return 0

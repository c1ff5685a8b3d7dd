"""The command line of the deploy tool."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from app.couch.connection import Connection, DatabaseError, Refused
from couchapp import misspellings, tree
from couchapp.deployment import LIMIT_SECONDS, Deployment
from couchapp.server_check import NotCouchDB, check_server
from couchapp.service_user import update_user
from couchapp.settings import CouchSettings, SettingError
from couchapp.status import database_problems, describe
from couchapp.tree import DeployError

ADMINISTRATOR_NEEDED = "COUCHDB_ADMIN_URL, or else COUCHDB_URL, must contain user and password of an administrator"
FAILURES = (DatabaseError, DeployError, NotCouchDB, SettingError)

VERBS = {
    "diff": "show the changes of a deploy; exit 1 if there are any, 2 on failure",
    "stage": "smoke-test the changes, and store them beside the deployed versions",
    "warm": "wait until the indexes of everything staged are built",
    "promote": "deploy the staged changes, and keep the replaced versions as previous",
    "rollback": "exchange the deployed and the previous versions",
    "clean": "remove the staged changes, and the files of unused indexes",
    "deploy": "stage, warm, promote, and remove the staged copies; without changes, do nothing",
    "status": "show the state of each design document",
    "user": "give the user of COUCHDB_URL its password and its role, as the administrator of COUCHDB_ADMIN_URL",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    root = argparse.ArgumentParser(
        prog="python -m couchapp",
        description="Deploy a folder of design documents to CouchDB without readers waiting for an index.",
        epilog="settings:\n" + CouchSettings.help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--tree", type=Path, default=tree.FOLDER, help="the folder (default: design_docs)")
    root.add_argument(
        "--limit", type=float, default=LIMIT_SECONDS, help="seconds to wait for an index (default: a day)"
    )
    verbs = root.add_subparsers(dest="verb", metavar="verb", required=True)
    for verb, meaning in VERBS.items():
        verbs.add_parser(verb, help=meaning, description=meaning)
    return root


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one verb; return the exit status, which is 2 if it failed."""
    options = parser().parse_args(arguments)
    for warning in misspellings.warnings(environ, CouchSettings.rows(), are_all=False):
        print(f"warning: {warning}", file=sys.stderr)
    try:
        settings = CouchSettings.parse(environ)
        design_docs = tree.load(options.tree)
        check_server(settings.admin_url, settings.admin_url_name)
        with closing(Connection(settings.admin_url)) as connection:
            if options.verb == "user":
                return user(connection, settings)
            return run(options.verb, Deployment(connection, settings.prefix, design_docs, report, options.limit))
    except FAILURES as failure:
        print(f"{options.verb}: {explained(failure)}", file=sys.stderr)
        return 2
    except OSError as failure:
        # A file in the folder of the data, such as one that another user owns.
        if failure.filename is None:
            raise
        print(f"{options.verb}: {failure.filename}: {failure.strerror}", file=sys.stderr)
        return 2


def report(line: str) -> None:
    """Print a line at once, also into a pipe: an index may take hours to build."""
    print(line, flush=True)


def explained(failure: Exception) -> str:
    """Return the message of ``failure`` for an operator."""
    if isinstance(failure, Refused) and failure.status in (401, 403):
        return f"{str(failure).rstrip('.')}. {ADMINISTRATOR_NEEDED}"
    return str(failure)


def run(verb: str, deployment: Deployment) -> int:
    """Run one verb; return 1 if it is "diff" and there is a difference."""
    if verb == "diff":
        return diff(deployment)
    if verb == "status":
        for line in describe(deployment):
            print(line)
        return 0
    getattr(deployment, verb)()
    if not deployment.has_reported:
        report(f"{verb}: nothing to do")
    return 0


def user(connection: Connection, settings: CouchSettings) -> int:
    """Update the user of the service, and print each change."""
    lines = list(update_user(connection, settings)) or ["user: nothing to do"]
    for line in lines:
        report(line)
    return 0


def diff(deployment: Deployment) -> int:
    """Print the changes that a deployment would make; return 1 if there are any."""
    problems, changes = list(database_problems(deployment)), deployment.differences()
    for line in problems:
        print(line)
    for change in changes:
        print(f"{change}\n{change.text()}\n")
    if problems or changes:
        return 1
    count = sum(len(documents) for documents in deployment.tree.values())
    print(f"no changes: the {count} design documents are deployed as they are here")
    return 0

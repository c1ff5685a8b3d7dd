"""The command line of the deploy tool."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from app.couch.connection import Connection, DatabaseError
from couchapp import tree
from couchapp.databases import Disturbed
from couchapp.deployment import LIMIT, Deployment, NothingKeptError, NotStagedError
from couchapp.settings import CouchSettings, SettingError
from couchapp.smoke_test import TrialError
from couchapp.status import lacking, lines
from couchapp.tree import TreeError
from couchapp.warming import WarmingError

FAILURES = (
    DatabaseError,
    Disturbed,
    NothingKeptError,
    NotStagedError,
    SettingError,
    TreeError,
    TrialError,
    WarmingError,
)

VERBS = {
    "diff": "show what deploy would change; exit 1 if anything, 2 on failure",
    "stage": "try what differs, and store it beside what is deployed",
    "warm": "have the indexes of all that is staged built",
    "promote": "deploy what is staged, and keep what it replaces",
    "rollback": "exchange what is deployed with what the last deployment replaced",
    "clean": "remove what is staged, and the files of unused indexes",
    "deploy": "stage, warm, promote, and remove what was staged; does nothing where there is nothing to do",
    "status": "show how each design document is deployed, and what is kept beside it",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m couchapp",
        description="Put the design documents of a folder into CouchDB without letting a reader wait for an index.",
        epilog="settings:\n" + CouchSettings.help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--tree", type=Path, default=tree.FOLDER, help="the folder (default: design_docs)")
    made.add_argument("--limit", type=float, default=LIMIT, help="seconds that an index may take (default: a day)")
    verbs = made.add_subparsers(dest="verb", metavar="verb", required=True)
    for verb, meaning in VERBS.items():
        verbs.add_parser(verb, help=meaning, description=meaning)
    return made


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one verb; return the exit status, which is 2 when it failed."""
    options = parser().parse_args(arguments)
    try:
        settings = CouchSettings.parse(environ)
        connection = Connection(settings.admin_url)
        deployment = Deployment(connection, settings.prefix, tree.load(options.tree), print, options.limit)
        shows: dict[str, Callable[[Deployment], int]] = {"diff": diff, "status": status}
        if options.verb in shows:
            return shows[options.verb](deployment)
        getattr(deployment, options.verb)()
    except FAILURES as failure:
        print(f"{options.verb}: {failure}", file=sys.stderr)
        return 2
    return 0


def diff(deployment: Deployment) -> int:
    """Print what a deployment would change; return 1 if anything."""
    missing, changes = list(lacking(deployment)), deployment.differences()
    for line in missing:
        print(line)
    for change in changes:
        print(f"{change}\n{change.text()}\n")
    return 1 if missing or changes else 0


def status(deployment: Deployment) -> int:
    """Print the state of each design document."""
    for line in lines(deployment):
        print(line)
    return 0

"""The command line of the deploy tool."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from app.couch.connection import Connection, DatabaseError
from couchapp import tree
from couchapp.deployment import LIMIT_SECONDS, Deployment
from couchapp.settings import CouchSettings, SettingError
from couchapp.status import database_problems, describe
from couchapp.tree import DeployError

FAILURES = (DatabaseError, DeployError, SettingError)

VERBS = {
    "diff": "show the changes of a deploy; exit 1 if there are any, 2 on failure",
    "stage": "smoke-test the changes, and store them beside the deployed versions",
    "warm": "wait until the indexes of everything staged are built",
    "promote": "deploy the staged changes, and keep the replaced versions as previous",
    "rollback": "exchange the deployed and the previous versions",
    "clean": "remove the staged changes, and the files of unused indexes",
    "deploy": "stage, warm, promote, and remove the staged copies; without changes, do nothing",
    "status": "show the state of each design document",
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
    try:
        settings = CouchSettings.parse(environ)
        with closing(Connection(settings.admin_url)) as connection:
            design_docs = tree.load(options.tree)
            return run(options.verb, Deployment(connection, settings.prefix, design_docs, print, options.limit))
    except FAILURES as failure:
        print(f"{options.verb}: {failure}", file=sys.stderr)
        return 2


def run(verb: str, deployment: Deployment) -> int:
    """Run one verb; return 1 if it is "diff" and there is a difference."""
    if verb == "diff":
        return diff(deployment)
    if verb == "status":
        for line in describe(deployment):
            print(line)
    else:
        getattr(deployment, verb)()
    return 0


def diff(deployment: Deployment) -> int:
    """Print the changes that a deployment would make; return 1 if there are any."""
    problems, changes = list(database_problems(deployment)), deployment.differences()
    for line in problems:
        print(line)
    for change in changes:
        print(f"{change}\n{change.text()}\n")
    return 1 if problems or changes else 0

"""Reads the command line, runs the command and reports failures as one sentence on stderr."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from app.cli import conflicts, demo, feeds, keys, run, serve
from app.couch.connection import Refused
from app.errors import ServiceError, Unavailable
from app.local_couchdb import StartError
from app.settings import SETTINGS, Settings
from couchapp import misspellings
from couchapp.cli import FAILURES, explained
from couchapp.running import RunningElsewhere
from couchapp.settings import SettingError

COMMANDS = (run, demo, serve, keys, conflicts, feeds)
USAGE = """
first steps:
  make run                                      start everything on this machine
  python -m app keys create NAME --scope …      create a key (also beside a running `make run`)
  python -m app COMMAND --help                  show the options of one command
  (python is the one of the installation: .venv/bin/python after `make run` or `make install`)

"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = argparse.ArgumentParser(
        prog="python -m app",
        description="The storage service behind the Dreamscript editor.",
        epilog=USAGE + "settings are environment variables:\n" + Settings.help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for command in COMMANDS:
        command.register(commands)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 on success, 1 if it failed, and 2 for wrong arguments or settings."""
    options = parser().parse_args(arguments)
    for warning in misspellings.warnings(os.environ, SETTINGS):
        print(f"warning: {warning}", file=sys.stderr)
    # The sentence on stderr says enough; a serving process configures a log of its own.
    logging.getLogger("dreamscript").addHandler(logging.NullHandler())
    try:
        code: int = options.command(options, os.environ)
    except SettingError as error:
        return _fail(str(error), 2)
    except Unavailable as error:
        return _fail(_unavailable(error.__cause__), 1)
    except ServiceError as error:
        faults = [f"{fault.location.removeprefix('body.')}: {fault.reason}" for fault in error.faults]
        return _fail("\n  ".join(faults or [error.reason]), 1)
    except (*FAILURES, StartError, RunningElsewhere) as error:
        return _fail(explained(error), 1)
    except OSError as error:
        # A file in the folder of the data, such as one that another user owns.
        if error.filename is None:
            raise
        return _fail(f"{error.filename}: {error.strerror}", 1)
    return code


def _unavailable(cause: BaseException | None) -> str:
    """Return the sentence for a request that the database, which answers, did not carry out."""
    if isinstance(cause, Refused) and cause.status == 404:
        return (
            "the databases are not deployed on this server: run `make deploy-views`, or correct COUCHDB_URL"
            " or DREAMSCRIPT_DATABASE_PREFIX"
        )
    if isinstance(cause, Refused) and cause.status in (401, 403):
        return f"the user in COUCHDB_URL may not read and write the databases ({cause}): see docs/deploying.md"
    return f"the database gave no usable answer ({cause or 'it failed repeatedly'}): see its log, and try again"


def _fail(sentence: str, code: int) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return code

"""Reads the command line, runs the command and turns failures into one sentence on stderr."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from app.cli import keys, run
from app.errors import ServiceError, Unavailable
from app.local_couchdb import StartError
from app.server import serve
from app.settings import SETTINGS
from couchapp.cli import FAILURES
from couchapp.settings import SettingError, describe

COMMANDS = (run, serve, keys)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    found = argparse.ArgumentParser(
        prog="python -m app",
        description="The storage service behind the Dreamscript editor.",
        epilog="Settings are environment variables:\n" + describe(SETTINGS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = found.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.register(commands)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 on success, 1 when it failed and 2 when it was asked for wrongly."""
    chosen = parser().parse_args(arguments)
    try:
        code: int = chosen.command(chosen, os.environ)
    except SettingError as error:
        return _fail(str(error), 2)
    except Unavailable:
        return _fail("the database gave no usable answer: is it running, and are its databases deployed?", 1)
    except ServiceError as error:
        faults = "".join(f"\n  {fault.location.removeprefix('body.')}: {fault.reason}" for fault in error.faults)
        return _fail(error.reason + faults, 1)
    except (*FAILURES, StartError) as error:
        return _fail(str(error), 1)
    return code


def _fail(sentence: str, code: int) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return code

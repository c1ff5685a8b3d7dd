"""Reads the command line, runs the command and reports failures as one sentence on stderr."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from app.cli import keys, run
from app.errors import ServiceError, Unavailable
from app.local_couchdb import StartError
from app.server import serve
from app.settings import Settings
from couchapp.cli import FAILURES
from couchapp.settings import SettingError

COMMANDS = (run, serve, keys)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = argparse.ArgumentParser(
        prog="python -m app",
        description="The storage service behind the Dreamscript editor.",
        epilog="Settings are environment variables:\n" + Settings.help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.register(commands)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 on success, 1 if it failed, and 2 for wrong arguments or settings."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.command(options, os.environ)
    except KeyboardInterrupt:
        # The status that shells give a command ended by Ctrl-C.
        return 130
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

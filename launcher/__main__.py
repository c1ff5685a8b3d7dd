"""`python3 -m launcher run|demo|install|tools`: the commands of a machine with nothing but Python."""

from __future__ import annotations

import os
import signal
import sys

# Ctrl-C waits until the program is loaded: exit_status then ends it without a traceback.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

from couchapp import running
from couchapp.console import exit_status
from couchapp.running import RunningElsewhere
from couchapp.server_check import NotCouchDB, check_server
from couchapp.settings import SettingError
from launcher.address import free_port
from launcher.commands import CommandFailed
from launcher.folder import require_folder
from launcher.packages import ROOT, SERVICE, TOOLS, install
from launcher.settings import LaunchSettings
from launcher.steps import Steps

USAGE = "usage: python3 -m launcher run|demo|install|tools"


def main() -> int:
    """Run one verb. Returns 0, 1 if it failed, and 2 for wrong arguments or settings."""
    verb = " ".join(sys.argv[1:])
    try:
        if verb in ("run", "demo"):
            check(may_run=verb == "demo")
            start(verb)
        elif verb in ("install", "tools"):
            install(Steps(), (SERVICE, TOOLS) if verb == "tools" else (SERVICE,))
        else:
            return fail(USAGE, 2)
    except SettingError as error:
        return fail(f"error: {error}", 2)
    except (CommandFailed, NotCouchDB, RunningElsewhere) as error:
        return fail(f"error: {error}", 1)
    return 0


def check(may_run: bool) -> None:
    """Fail before anything is installed if the service could not start afterwards.

    The reasons are a faulty setting, an address or a folder of a local database in use, a URL that does not lead to
    CouchDB, and a folder that cannot be written to. If the service ``may_run`` on the folder already, that is no
    reason.
    """
    settings = LaunchSettings.parse(os.environ)
    run = None if settings.couchdb_url else running.current(settings.var)
    if run and run.is_alive:
        if may_run:
            return
        raise RunningElsewhere(settings.var, run)
    free_port(settings)
    for url, name in ((settings.couchdb_url, "COUCHDB_URL"), (settings.couchdb_admin_url, "COUCHDB_ADMIN_URL")):
        if url and settings.couchdb_url:
            check_server(url, name)
    require_folder(settings)


def start(verb: str) -> None:
    """Install the packages of the service, and become `python -m app` with this verb."""
    python = install(Steps(), (SERVICE,))
    os.chdir(ROOT)
    # Ctrl-C while the program is loaded would end it with a traceback; it takes the signal when it can.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.execv(python, [str(python), "-m", "app", verb])  # noqa: S606


def fail(text: str, status: int) -> int:
    """Print ``text`` on stderr, and return ``status``."""
    print(text, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(exit_status(main))

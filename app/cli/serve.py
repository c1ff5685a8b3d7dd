"""`python -m app serve`: the API behind gunicorn, in as many processes as DREAMSCRIPT_WORKERS says."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from app import create_app
from app.cli.logs import LOGGING
from app.domain import usage
from app.domain.services import Shared
from app.settings import Settings

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

# Each thread spends most of its time waiting for the database.
THREADS = 16
# The longest list of ids that is accepted leaves room for a cursor, so that x-next can be fetched; gunicorn takes no
# more than this.
MAX_REQUEST_LINE = 8190


def register(commands: Commands) -> None:
    """Add the command."""
    serving = commands.add_parser("serve", help="serve the API; the database and its views must be there")
    serving.set_defaults(command=serve)


def serve(_: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM or SIGINT, then finish what was begun."""
    Server(Settings.read(environ)).run()
    return 0


class Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn, configured from the settings alone. Each worker builds its own application after the fork.

    What they share is made before: what requests and writes are counted with.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._shared = settings, Shared.build(settings)
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        chosen = {
            "bind": f"{host}:{settings.port}",
            "workers": settings.workers,
            "threads": THREADS,
            "worker_class": "app.cli.worker.Worker",
            "limit_request_line": MAX_REQUEST_LINE,
            # What was begun ends by its deadline; a little more lets the answer be sent, and last uses be written.
            "graceful_timeout": math.ceil(settings.deadline + usage.LONGEST) + 2,
            # Proxies are believed as far as DREAMSCRIPT_TRUSTED_PROXIES says, and nowhere else.
            "secure_scheme_headers": {},
            "forwarder_headers": "",
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
            "logconfig_dict": LOGGING,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the application of one worker."""
        return create_app(self._settings, self._shared)

    def run(self) -> None:
        """Serve. Raises SystemExit when it ends, in the workers too."""
        Arbiter(self).run()

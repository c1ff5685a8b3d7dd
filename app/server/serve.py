"""`python -m app serve`: the API behind gunicorn, in as many processes as DREAMSCRIPT_WORKERS says."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from app import create_app
from app.domain.keys import usage
from app.server.logs import LOGGING, Log
from app.server.wsgi_bridge import Gateway
from app.settings import BATCH_BODY_FACTOR, Settings
from app.wiring import Shared

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

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
        # What was begun ends by its deadline; a little more lets the answer be sent, and last uses be written.
        grace = math.ceil(settings.deadline + usage.LONGEST) + 2
        chosen = {
            "bind": f"{host}:{settings.port}",
            "workers": settings.workers,
            "worker_class": "app.server.worker.Worker",
            "asgi_lifespan": "off",
            "asgi_loop": "asyncio",
            "limit_request_line": MAX_REQUEST_LINE,
            "graceful_timeout": grace,
            # A client that leaves takes nothing with it that it had begun.
            "asgi_disconnect_grace_period": grace,
            # Proxies are believed as far as DREAMSCRIPT_TRUSTED_PROXIES says, and nowhere else.
            "secure_scheme_headers": {},
            "forwarder_headers": "",
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
            "logger_class": Log,
            "logconfig_dict": LOGGING,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Gateway:
        """Return the application of one worker."""
        settings = self._settings
        application = create_app(settings, self._shared)
        cache = application.response_cache
        return Gateway(
            application.wsgi_app if cache.is_immediate else application,
            seconds=settings.deadline,
            largest=BATCH_BODY_FACTOR * settings.max_body_bytes,
            quick=cache.lookup if cache.is_immediate else None,
            finish=application.close,
        )

    def run(self) -> None:
        """Serve. Raises SystemExit when it ends, in the workers too."""
        Arbiter(self).run()

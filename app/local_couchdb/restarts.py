"""Restarts a database server that has ended by itself, and gives up on one that keeps ending."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from app.local_couchdb.keeper import ENDED
from app.local_couchdb.process import Server, StartError

log = logging.getLogger("dreamscript.database")

# A server that ends more often than this has a fault that no restart mends, such as a disk that is still full.
MAX_RESTARTS, WINDOW_SECONDS = 5, 60.0


class Restarts:
    """The restarts of one server. ``clock`` counts seconds."""

    def __init__(self, server: Server, clock: Callable[[], float] = time.monotonic) -> None:
        self._server, self._clock = server, clock
        self._times: list[float] = []

    def keep_running(self) -> bool:
        """Restart the server if it has ended, at the same URL; return False if that would not help. Logs both."""
        if not self._server.has_ended:
            return True
        now = self._clock()
        self._times = [each for each in self._times if now - each < WINDOW_SECONDS]
        if len(self._times) >= MAX_RESTARTS:
            log.error("the database ended %d times within a minute; stopping: %s", len(self._times) + 1, self._reason())
            return False
        self._times.append(now)
        reason = self._reason()
        try:
            self._server.restart()
        except StartError as error:
            log.error("the database ended and cannot be started again: %s", error)
            return False
        log.warning("the database ended and is being restarted: %s", reason)
        return True

    def _reason(self) -> str:
        """Return the line of the keeper and, if the server ended by itself, the one before it, which says why."""
        *before, last = ["", *self._server.last_lines(2)]
        if not last.startswith(ENDED):
            return "it was killed together with its keeper"
        return f"{last} ({before[-1]})" if "status" in last and before[-1] else last

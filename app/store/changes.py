"""A thread that follows a database's changes, and says so when it has lost them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from threading import Event, Lock, Thread
from typing import Protocol

from app.errors import ServiceError
from app.metrics import Tally
from app.store.database import Database

log = logging.getLogger("dreamscript.follower")

# Seconds without a sign of life, of which the database gives one each second, after which the feed is lost.
SILENCE = 3.0
# Seconds between two questions, so that a busy database is not asked for each change.
PAUSE = 0.05
# Seconds until a lost feed is looked for again.
REST = 5.0


class Listener(Protocol):
    """Who is told of changes."""

    def caught_up(self) -> None:
        """Every change from now on will be told."""

    def changed(self, doc_ids: Iterable[str], /) -> None:
        """These documents have changed."""

    def lost(self) -> None:
        """Changes may have been missed."""


class Follower:
    """Follows ``database`` from when it is first wanted until it is closed; a child of a fork begins anew."""

    def __init__(self, database: Database, listener: Listener) -> None:
        self._database, self._listener = database, listener
        self._lock, self._pid, self._ending = Lock(), 0, Event()
        self._heard_at = time.monotonic()
        self.is_live, self.tally = False, Tally("changes", "losses")

    def silence(self) -> float:
        """Return the seconds since the last sign of life."""
        return time.monotonic() - self._heard_at

    def start(self) -> None:
        """See to it that the thread runs. It costs nothing when it does."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid() and not self._ending.is_set():
                Thread(target=self._run, name=f"follower of {self._database.name}", daemon=True).start()
                self._pid = os.getpid()

    def close(self) -> None:
        """Let the thread end with the next sign of life that it gets; nothing is told from now on."""
        self._ending.set()
        self._listener.lost()

    def _lose(self) -> None:
        if self.is_live:
            self.tally.count("losses")
        self.is_live = False
        self._listener.lost()

    def _is_wanted(self) -> bool:
        """Tell whether anyone waits for changes; it is asked with each sign of life."""
        self._heard_at = time.monotonic()
        return not self._ending.is_set()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._follow()
            except ServiceError:
                pass  # The store has said so in the log.
            except Exception:
                log.exception("following %s failed", self._database.name)
            self._lose()
            self._ending.wait(REST)

    def _follow(self) -> None:
        """Tell of changes until the feed is lost or nobody wants to know. Raises what the database does."""
        since = self._database.sequence()
        self._listener.caught_up()
        self.is_live = True
        while not self._ending.is_set():
            changed, since = self._database.await_changes(since, SILENCE, self._is_wanted)
            if self._ending.is_set():
                return
            self._listener.changed(changed)
            self.tally.count("changes", len(changed))
            self._ending.wait(PAUSE)

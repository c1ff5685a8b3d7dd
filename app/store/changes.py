"""Follows a database's feed of changes in a thread, and reports when the feed is lost."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from threading import Event, Lock, Thread
from typing import Protocol

from app.errors import ServiceError
from app.metric_definitions import FEED_CHANGES, FEED_LAG, FEED_LIVE, FEED_LOSSES
from app.metrics import Metrics
from app.store.database import HEARTBEAT_SECONDS, Database
from app.store.feed import FeedPart, FeedRow, number

log = logging.getLogger("dreamscript.follower")

# A feed is lost after this time without a heartbeat; the database sends one each second.
IDLE_SECONDS = 3.0
# The time between two requests, so that a busy database does not get one for each change.
PAUSE_SECONDS = 0.2
# The same while clients wait for the changes.
AWAITED_PAUSE_SECONDS = 0.03
# The time until a lost feed is opened again.
RETRY_SECONDS = 5.0
# Places are remembered for this time, which is longer than the margin of departures (app/domain/changes/visibility.py).
PLACE_SECONDS = 15.0
# The longest wait for the thread at the end of the process, which a database that hangs must not delay.
JOIN_SECONDS = 0.25


class Listener(Protocol):
    """Receives the changes of a database."""

    def caught_up(self) -> None:
        """Note that every change from now on is reported."""

    def changed(self, doc_ids: Iterable[str], /) -> None:
        """Note that these documents have changed."""

    def lost(self) -> None:
        """Note that changes may have been missed."""


class Audience(Protocol):
    """The clients that wait for the changes of a database. While there are any, the feed is read with documents."""

    @property
    def is_awaited(self) -> bool:
        """Whether any client waits, or has waited a moment ago."""

    def opened(self, place: int | str, /) -> None:
        """Note that every change after ``place`` is reported from now on."""

    def received(self, part: FeedPart, seconds: float, /) -> None:
        """Note changes, with their documents, that the database was asked for ``seconds`` ago."""

    def skipped(self, place: int | str, /) -> None:
        """Note that changes up to ``place`` were read without their documents, since no client waited."""

    def lost(self) -> None:
        """Note that changes may be missed until the feed is opened again."""


class NoAudience:
    """No client ever waits."""

    is_awaited = False

    def opened(self, _: int | str, /) -> None:
        """Do nothing."""

    def received(self, _: FeedPart, _seconds: float, /) -> None:
        """Do nothing."""

    def skipped(self, _: int | str, /) -> None:
        """Do nothing."""

    def lost(self) -> None:
        """Do nothing."""


class Follower:
    """Follow ``database`` from ``start`` to ``close``. A forked child starts a feed of its own.

    ``name`` is the database's label in the metrics. ``clock`` counts seconds. ``identity`` returns the identity of the
    database's feed, which differs once the database was made again.
    """

    def __init__(
        self,
        database: Database,
        listener: Listener,
        metrics: Metrics,
        name: str,
        clock: Callable[[], float] = time.monotonic,
        audience: Audience | None = None,
        identity: Callable[[], object] = lambda: None,
    ) -> None:
        self._database, self._listener, self._audience = database, listener, audience or NoAudience()
        self._metrics, self._name, self._clock, self._identity = metrics, name, clock, identity
        self._lock, self._pid, self._ending = Lock(), 0, Event()
        self._thread: Thread | None = None
        self._asked_at = self._caught_up_at = self._clock()
        self.is_live = False
        # The recent places of the feed, each with the moment when it was the present one.
        self._places: deque[tuple[float, object]] = deque()
        for counter in (FEED_CHANGES, FEED_LOSSES):
            metrics.count(counter, name, times=0)

    def report_state(self) -> None:
        """Set the metrics of this moment. A feed that nothing has needed yet has no lag."""
        lag_seconds = self._clock() - self._caught_up_at if self._pid == os.getpid() else 0.0
        self._metrics.set(FEED_LIVE, self._name, value=self.is_live)
        self._metrics.set(FEED_LAG, self._name, value=lag_seconds)

    def older_place(self, seconds: float) -> object | None:
        """Return a place of the feed that is at least ``seconds`` old, None if none is known yet. Starts the thread."""
        self.start()
        moment = self._clock() - seconds
        return next((place for at, place in reversed(self._places.copy()) if at <= moment), None)

    def recent_changes(self) -> Sequence[FeedRow]:
        """Return the last MAX_DOCUMENTS changes with their documents, also those before the start of the thread."""
        self.start()
        return self._database.latest_changes()

    def _note(self, place: object) -> None:
        """Remember the present place, and forget those older than PLACE_SECONDS except the last of them."""
        now = self._clock()
        self._places.append((now, place))
        while len(self._places) > 1 and self._places[1][0] < now - PLACE_SECONDS:
            self._places.popleft()

    def start(self) -> None:
        """Start the thread, unless it runs. Cheap enough to call before each read."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid() and not self._ending.is_set():
                self._caught_up_at = self._clock()
                self._thread = Thread(target=self._run, name=f"follower of {self._database.name}", daemon=True)
                self._thread.start()
                self._pid = os.getpid()

    def close(self) -> None:
        """Report nothing from now on, and end the thread at its next heartbeat, or when the store is closed."""
        self._ending.set()
        self._listener.lost()

    def join(self) -> None:
        """Wait until the thread has ended. One that is still opening its feed ends later, and is not waited for."""
        if self._thread:
            self._thread.join(JOIN_SECONDS)

    def _lose(self) -> None:
        if self.is_live:
            self._metrics.count(FEED_LOSSES, self._name)
        self.is_live = False
        # The database may be another one when the feed is opened again.
        self._places.clear()
        self._listener.lost()
        self._audience.lost()

    def _beat(self) -> bool:
        """Note a heartbeat; return whether to go on. The database sends heartbeats while it has no change to report."""
        now = self._clock()
        if now - self._asked_at >= HEARTBEAT_SECONDS:
            self._caught_up_at = now
        return not self._ending.is_set()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._follow()
            except ServiceError:
                pass  # The store has logged it.
            except Exception:
                log.exception("following %s failed", self._database.name)
            self._lose()
            self._ending.wait(RETRY_SECONDS)

    def _follow(self) -> None:
        """Report changes until the feed is lost or closed. Raises ServiceError, as the database does."""
        since, identity = self._database.present_place(), self._identity()
        self._note(since)
        self._listener.caught_up()
        self._audience.opened(since)
        self.is_live = True
        self._caught_up_at = self._clock()
        while not self._ending.is_set():
            self._asked_at = self._clock()
            with_documents = self._audience.is_awaited
            part = self._database.await_changes(since, IDLE_SECONDS, self._beat, with_documents=with_documents)
            if self._ending.is_set():
                return
            if self._audience.is_awaited and not with_documents:
                self._asked_at = self._clock()
                part, with_documents = self._database.read_changes(since), True
            # CouchDB ends the wait without a change when it deletes the database, and starts at 0 in the next one.
            if number(part.sequence) <= number(since) and self._identity() != identity:
                return
            since = part.sequence
            self._report(part, with_documents=with_documents)
            if part.is_last:
                self._ending.wait(AWAITED_PAUSE_SECONDS if with_documents else PAUSE_SECONDS)

    def _report(self, part: FeedPart, *, with_documents: bool) -> None:
        """Pass on changes, to the caches first."""
        self._note(part.sequence)
        self._listener.changed([row.item.doc_id for row in part.rows])
        if with_documents:
            self._audience.received(part, self._clock() - self._asked_at)
        else:
            self._audience.skipped(part.sequence)
        self._metrics.count(FEED_CHANGES, self._name, times=len(part.rows))
        if part.is_last:
            self._caught_up_at = self._clock()

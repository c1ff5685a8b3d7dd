"""Runs background jobs in one thread of a process, each while this process holds its lease."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Lock, Thread
from typing import Protocol

from app.domain.resources import stamp
from app.errors import ServiceError
from app.store import Database
from app.store.lease import Lease

log = logging.getLogger("dreamscript.background")

# The time until a process looks again whether a lease is free, and until a job that failed runs again.
STANDBY_SECONDS = 5.0
RETRY_SECONDS = 10.0
# The longest wait for the thread at the end of the process, so that it can release its leases.
JOIN_SECONDS = 1.0


class Job(Protocol):
    """A job that one process at a time runs. Two runners must do no harm, since leases are not exclusive."""

    name: str

    def run(self, ending: Event, /) -> float:
        """Do a part of the work that takes a second or so; return the seconds until the next one.

        Ends early when ``ending`` is set. Raises ServiceError.
        """

    def stand_by(self) -> None:
        """Note that another process runs the job."""


@dataclass
class _Entry:
    job: Job
    lease: Lease
    due_at: float = 0.0


class Background:
    """The jobs of this process, from ``start`` to ``close``. Start it after a fork."""

    def __init__(self, meta: Database, jobs: Sequence[Job], now: Callable[[], datetime]) -> None:
        self._entries = [_Entry(job, Lease(meta, job.name, now, stamp)) for job in jobs]
        self._lock, self._ending = Lock(), Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs."""
        with self._lock:
            if self._thread is None and self._entries and not self._ending.is_set():
                self._thread = Thread(target=self._run, name="background jobs", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread, and wait a moment for it to release its leases."""
        self._ending.set()
        if self._thread:
            self._thread.join(JOIN_SECONDS)

    def run_due(self) -> float:
        """Run the jobs that are due; return the seconds until the next one is."""
        for entry in self._entries:
            if entry.due_at <= time.monotonic() and not self._ending.is_set():
                entry.due_at = time.monotonic() + self._run_one(entry)
        due_at = min((entry.due_at for entry in self._entries), default=time.monotonic() + STANDBY_SECONDS)
        return max(0.0, due_at - time.monotonic())

    def _run(self) -> None:
        while not self._ending.wait(self.run_due()):
            pass
        for entry in self._entries:
            with suppress(ServiceError):
                entry.lease.release()

    def _run_one(self, entry: _Entry) -> float:
        """Run a job if its lease can be held; return the seconds until the next run."""
        try:
            if entry.lease.hold():
                return entry.job.run(self._ending)
            entry.job.stand_by()
        except ServiceError:
            return RETRY_SECONDS  # The store has logged it.
        except Exception:
            log.exception("the background job %s failed", entry.job.name)
            return RETRY_SECONDS
        return STANDBY_SECONDS

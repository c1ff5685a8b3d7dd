"""One read for simultaneous requests for the same thing, with an answer that is never older than its request."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from threading import Event, Lock

from app.http.answers import Answer
from app.request_context import remaining


class Flight:
    """One read, the read before it, and its answer, None until the read has succeeded."""

    def __init__(self, previous: Flight | None = None) -> None:
        self.previous, self.done = previous, Event()
        self.result: Answer | None = None


class SingleFlight:
    """Lets simultaneous requests for the same thing share one read. Thread-safe.

    A caller that arrives during a read waits for the next one, together with all others that do. So an answer is never
    older than its request, and a lone caller never waits.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: dict[Hashable, Flight] = {}
        self._waiting: dict[Hashable, Flight] = {}

    @contextmanager
    def join(self, key: Hashable) -> Iterator[Flight]:
        """Yield a flight with the answer of another caller with the same ``key``, or without: then set it.

        A failure, or a wait beyond the request's deadline, is not shared: the caller then reads for itself.
        """
        with self._lock:
            flight = self._waiting.get(key)
            is_leader = flight is None
            if flight is None:
                flight = self._waiting[key] = Flight(self._running.get(key))
        if not is_leader:
            flight.done.wait(remaining())
            yield flight if flight.result else Flight()
            return
        if flight.previous:
            flight.previous.done.wait(remaining())
            flight.previous = None
        with self._lock:
            self._running[key] = self._waiting.pop(key)
        try:
            yield flight
        finally:
            flight.done.set()
            with self._lock:
                if self._running.get(key) is flight:
                    del self._running[key]

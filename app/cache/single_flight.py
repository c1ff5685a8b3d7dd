"""Lets simultaneous requests for the same thing share one read, which begins after each of them has arrived."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Event, Lock
from typing import Generic, TypeVar

from app.request_context import remaining

T = TypeVar("T")


class Flight(Generic[T]):
    """One read, the read before it, and its result, None until it has succeeded."""

    def __init__(self, previous: Flight[T] | None) -> None:
        self.previous, self.done = previous, Event()
        self.result: T | None = None


class SingleFlight(Generic[T]):
    """Thread-safe. A caller that arrives during a read waits for the next one, together with all others that do.

    So a result is never older than the request, and a lone caller never waits.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: dict[Hashable, Flight[T]] = {}
        self._waiting: dict[Hashable, Flight[T]] = {}

    def run(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return the result of ``read``, by this caller or by another with the same ``key``.

        A failure, or a wait beyond the request's deadline, is not shared: the caller then reads for itself.
        """
        with self._lock:
            flight = self._waiting.get(key)
            is_leader = flight is None
            if flight is None:
                flight = self._waiting[key] = Flight(self._running.get(key))
        if is_leader:
            return self._lead(key, flight, read)
        flight.done.wait(remaining())
        return read() if flight.result is None else flight.result

    def _lead(self, key: Hashable, flight: Flight[T], read: Callable[[], T]) -> T:
        if flight.previous:
            flight.previous.done.wait(remaining())
            flight.previous = None
        with self._lock:
            self._running[key] = self._waiting.pop(key)
        try:
            flight.result = read()
            return flight.result
        finally:
            flight.done.set()
            with self._lock:
                if self._running.get(key) is flight:
                    del self._running[key]

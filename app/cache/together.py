"""Lets those who ask for the same thing at the same time share one answer, which nobody had begun before they asked."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Event, Lock
from typing import Generic, TypeVar

from app.request_context import remaining

T = TypeVar("T")


class Round(Generic[T]):
    """One answer on its way: whether it has come, and then what it is, if there is one that can be shared."""

    def __init__(self, before: Round[T] | None) -> None:
        self.before, self.done = before, Event()
        self.answer: T | None = None


class Together(Generic[T]):
    """Threads share it. Who comes while an answer is on its way waits for the next one, together with all who do.

    So an answer is never older than the question, and nobody waits who is alone.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._last: dict[Hashable, Round[T]] = {}
        self._open: dict[Hashable, Round[T]] = {}

    def ask(self, key: Hashable, find: Callable[[], T | None]) -> T | None:
        """Return what ``find`` does, for this caller or for another who asked at the same time.

        It is None where it is, where it raised for the other, and where that took longer than the request has.
        """
        with self._lock:
            found = self._open.get(key)
            first = found is None
            if found is None:
                found = self._open[key] = Round(self._last.get(key))
        if not first:
            found.done.wait(remaining())
            return found.answer
        if found.before:
            found.before.done.wait(remaining())
            found.before = None
        with self._lock:
            self._last[key] = self._open.pop(key)
        try:
            found.answer = find()
        finally:
            found.done.set()
            with self._lock:
                if self._last.get(key) is found:
                    del self._last[key]
        return found.answer

"""Clients at work while things fail, each in a thread of its own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from app.local_couchdb.process import poll
from tests.server.live import PATIENCE


class Client(threading.Thread):
    """Acts until it is stopped or has nothing left to do; ``failure`` is what ended it before that."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        # How often each status came, "dropped" for none, and whatever else is worth counting.
        self.answered: Counter[str] = Counter()
        self.stopping = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Do one thing after the other."""
        try:
            while not self.stopping.is_set() and self.act():
                pass
        except BaseException as failure:
            self.failure = failure

    def act(self) -> bool:
        """Do one thing, and tell whether there is more to do."""
        raise NotImplementedError


class Clients:
    """Several clients at once, and what they were answered so far."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = clients

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have the clients at work meanwhile. Raises what ended any of them."""
        for client in self._clients:
            client.start()
        try:
            yield
        finally:
            for client in self._clients:
                client.stopping.set()
            for client in self._clients:
                client.join()
        if failures := [client.failure for client in self._clients if client.failure]:
            raise BaseExceptionGroup("clients have failed", failures)

    @property
    def is_over(self) -> bool:
        """Whether every client has done what it was to do."""
        return not any(client.is_alive() for client in self._clients)

    def counts(self) -> Counter[str]:
        """Return how often each status came so far, and "dropped" for no answer."""
        return sum((client.answered for client in self._clients), Counter())

    def await_more(self, what: str, number: int) -> None:
        """Return when an answer has come so often more, or all is over."""
        goal = self.counts()[what] + number
        assert poll(lambda: self.counts()[what] >= goal or self.is_over, PATIENCE), f"no more {what}"

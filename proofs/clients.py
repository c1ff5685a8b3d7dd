"""Clients that work during faults, each in its own thread."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from app.local_couchdb.process import poll
from tests.waiting import MAX_WAIT_SECONDS


class Client(threading.Thread):
    """Act until stopped or finished; ``failure`` is the exception that ended the client early."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        # Counts by status, "dropped" for no answer, and other events.
        self.answered: Counter[str] = Counter()
        self.stopping = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Act until stopped."""
        try:
            while not self.stopping.is_set() and self.act():
                pass
        except BaseException as failure:
            self.failure = failure

    def act(self) -> bool:
        """Act once. Returns whether there is more to do."""
        raise NotImplementedError


class Clients:
    """Several concurrent clients, and the counts of their answers."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = clients

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the clients during the context. Raises the failure of any client."""
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
        """Whether every client has finished."""
        return not any(client.is_alive() for client in self._clients)

    def counts(self) -> Counter[str]:
        """Return the number of answers by status, and "dropped" for no answer."""
        return sum((client.answered for client in self._clients), Counter())

    def await_more(self, what: str, number: int, seconds: float = MAX_WAIT_SECONDS) -> None:
        """Wait until an answer has come ``number`` times again, or all clients have finished."""
        goal = self.counts()[what] + number
        assert poll(lambda: self.counts()[what] >= goal or self.is_over, seconds), f"no more {what}"

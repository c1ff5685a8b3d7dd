"""Clients of a running service: one with a connection to each worker, and many at a steady pace."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple

from tests.samples import Scrape
from tests.server.live import Live
from tests.waiting import MAX_WAIT_SECONDS

# Any worker may take a connection; open at most this many until each worker has one.
MOST_CONNECTIONS = 2_000
# How far back in the log the line of a request is looked for that has just been answered.
RECENT_LINES = 5_000
# The errors of a client when the server has closed an idle connection.
CLOSED = (HTTPException, OSError)


def workers(live: Live, count: int) -> list[int]:
    """Return the process ids of the ``count`` workers, once they have all started."""

    def booted() -> list[int]:
        pids = [line["pid"] for line in live.events() if line["message"] == "worker started"]
        return pids if len(pids) == count else []

    return live.wait_for(booted)


def waiting_clients(live: Live, operator: str, **labels: str) -> float:
    """Return the number of clients that wait in all workers, by the metric with these ``labels``."""
    with closing(live.connect()) as connection:
        connection.request("GET", "/metrics", headers={"X-API-Key": operator})
        scrape = Scrape(connection.getresponse().read().decode())
    return scrape.total("dreamscript_waiting_clients", **labels)


class WorkerResponse(NamedTuple):
    """An answer: its status, its tag and its JSON."""

    status: int
    tag: str
    value: Any


class WorkerConnection:
    """A kept connection, and the worker at its other end."""

    def __init__(self, live: Live) -> None:
        self._connection = live.connect()
        self._connection.connect()
        # It must not be reopened silently, since another worker could take it.
        self._connection.auto_open = 0
        request_id = secrets.token_hex(8)
        self.get("/livez", {"X-Request-ID": request_id})
        live.wait_for(lambda: any(request_id in line for line in live.logged[-RECENT_LINES:]))
        lines = live.events(RECENT_LINES)
        self.worker: int = next(line["pid"] for line in lines if line.get("request_id") == request_id)

    def get(self, path: str, headers: dict[str, str]) -> int:
        """Return the status of an answer. Raises one of CLOSED."""
        return self.ask("GET", path, headers).status

    def ask(self, method: str, path: str, headers: dict[str, str], value: object = None) -> WorkerResponse:
        """Return an answer; ``value`` is sent as JSON. Raises one of CLOSED."""
        body = None if value is None else json.dumps(value)
        self._connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        answer = self._connection.getresponse()
        content = answer.read()
        return WorkerResponse(answer.status, answer.headers.get("ETag", ""), json.loads(content) if content else None)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class WorkerClient(AbstractContextManager["WorkerClient"]):
    """Sends requests to a worker of the caller's choice."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._lines: dict[int, WorkerConnection] = {}

    def ask(self, worker: int, key: str) -> int:
        """Return the status of ``worker`` for ``key``."""
        return self.request(worker, key, "GET", "/documents?limit=1").status

    def request(
        self, worker: int, key: str, method: str, path: str, value: object = None, **headers: str
    ) -> WorkerResponse:
        """Return the answer of ``worker``; ``if_none_match="x"`` is the header If-None-Match.

        If the connection was closed before the response, the request is sent once more, which is safe for GET and PUT.
        """
        sent = {"X-API-Key": key, **{name.replace("_", "-"): value for name, value in headers.items()}}
        while True:
            line = self._line(worker)
            try:
                return line.ask(method, path, sent, value)
            except CLOSED:
                self._lines.pop(worker).close()

    def _line(self, worker: int) -> WorkerConnection:
        for _ in range(MOST_CONNECTIONS):
            if worker in self._lines:
                return self._lines[worker]
            line = WorkerConnection(self._live)
            self._lines.setdefault(line.worker, line)
            if self._lines[line.worker] is not line:
                line.close()
        raise AssertionError(f"worker {worker} took none of {MOST_CONNECTIONS} connections")

    def __exit__(self, *_: object) -> None:
        for line in self._lines.values():
            line.close()


class Load(AbstractContextManager["Load"]):
    """Read with the current key from several threads, together ``rate`` times a second if possible."""

    def __init__(self, live: Live, key: Callable[[], str], rate: float, threads: int = 8) -> None:
        self._live, self._key, self._pause = live, key, threads / rate
        self._news, self._ended = threading.Condition(), threading.Event()
        self.statuses: Counter[Any] = Counter()
        self._threads = [threading.Thread(target=self._run, args=(n / rate,)) for n in range(threads)]

    def _run(self, wait: float) -> None:
        connection, due = self._live.connect(), time.monotonic() + wait
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            status = self._read(connection)
            with self._news:
                self.statuses[status] += 1
                self._news.notify_all()
            # Requests that are late are skipped, and not sent in a burst.
            due = max(due + self._pause, time.monotonic())
        connection.close()

    def _read(self, connection: HTTPConnection) -> object:
        for _ in range(2):
            try:
                connection.request("GET", "/documents?limit=1", headers={"X-API-Key": self._key()})
                answer = connection.getresponse()
                answer.read()
            except CLOSED as error:
                connection.close()
                outcome: object = repr(error)
            else:
                return answer.status
        return outcome

    def wait_for_more(self, count: int) -> None:
        """Return when ``count`` more requests have been answered."""
        with self._news:
            aim = self.statuses.total() + count
            assert self._news.wait_for(lambda: self.statuses.total() >= aim, MAX_WAIT_SECONDS + count), self.statuses

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

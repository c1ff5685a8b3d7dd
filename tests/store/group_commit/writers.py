"""A database that holds every request, and threads that write to it through one group commit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from app.local_couchdb.process import poll
from app.request_context import remaining, request_context
from app.store import GroupCommit
from app.store.exchange import Outcome

LIMIT = 60

Answers = Callable[[Sequence[Mapping[str, Any]]], dict[str, Outcome]]


def store_all(documents: Sequence[Mapping[str, Any]]) -> dict[str, Outcome]:
    """Answer as if each document were stored."""
    return {document["_id"]: f"1-{document['_id']}" for document in documents}


class Held:
    """A database that holds every request until released, and answers groups by ``answers``."""

    def __init__(self, answers: Answers = store_all) -> None:
        self._answers = answers
        self.requests: SimpleQueue[tuple[str, ...]] = SimpleQueue()
        self.left: list[float | None] = []
        self._turns = threading.Semaphore(0)

    def create(self, document: Mapping[str, Any]) -> str:
        self._hold("create", document)
        return f"1-{document['_id']} alone"

    def replace(self, document: Mapping[str, Any]) -> str:
        self._hold("replace", document)
        return f"2-{document['_id']} alone"

    def write_many(self, documents: Sequence[Mapping[str, Any]]) -> dict[str, Outcome]:
        self.left.append(remaining())
        self._hold("many", *documents)
        return self._answers(documents)

    def _hold(self, what: str, *documents: Mapping[str, Any]) -> None:
        self.requests.put((what, *(document["_id"] for document in documents)))
        assert self._turns.acquire(timeout=LIMIT)

    def let_go(self, count: int = 1) -> None:
        """Release ``count`` requests, present or future."""
        self._turns.release(count)

    def next(self) -> tuple[str, ...]:
        """Wait for the next request, and return its method and documents."""
        return self.requests.get(timeout=LIMIT)


class Writers:
    """Threads that write through one group commit."""

    def __init__(self, database: Any, pool: ThreadPoolExecutor) -> None:
        self.group, self._pool = GroupCommit(database), pool

    def write(self, doc_id: str, *, seconds: float = LIMIT, **fields: object) -> Future[str]:
        """Start a write in a request with a deadline in ``seconds``."""

        def work() -> str:
            document = {"_id": doc_id, **fields}
            with request_context(request_id=doc_id, seconds=seconds):
                return self.group.write(document)

        return self._pool.submit(work)

    def wait(self, doc_id: str, **options: Any) -> Future[str]:
        """Start a write, and return when its document waits for the next group."""
        future = self.write(doc_id, **options)
        assert poll(lambda: doc_id in self.group._waiting, LIMIT)
        return future


@contextmanager
def writers(database: Any) -> Iterator[Writers]:
    with ThreadPoolExecutor(20) as pool:
        yield Writers(database, pool)


@contextmanager
def one_in_flight(answers: Answers = store_all) -> Iterator[tuple[Held, Writers]]:
    """Return a database that holds the write of "a", and the threads for more writes."""
    database = Held(answers)
    with writers(database) as threads:
        threads.write("a")
        database.next()
        yield database, threads

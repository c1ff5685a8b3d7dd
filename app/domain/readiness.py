"""Check that every database answers and accepts writes, and that this version's design documents are deployed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock

from app.errors import Unavailable
from app.request_context import remaining
from app.store import Database, Store
from couchapp import diff, tree

log = logging.getLogger("dreamscript.readiness")

PROBE = "readiness"
# Whether a database takes writes is known for this time, since each such test is a write to the disk.
VALID_SECONDS = 1.0


class Readiness:
    """Compare the deployed design documents with the tree at the start of this process. ``clock`` counts seconds."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._tree, self._clock = store, tree.load(), clock
        self._lock, self._checked_at = Lock(), float("-inf")
        # By database, the problem with writes to it, and when it is tested again.
        self._writes: dict[str, tuple[list[str], float]] = {}
        self._problems: list[str] = []

    def problems(self) -> list[str]:
        """Return the problems, in words for an operator; an empty list if the service is ready.

        A check that began after the call serves all callers, and every change of the result is logged.
        """
        called_at, seconds_left = self._clock(), remaining()
        if not self._lock.acquire(timeout=-1 if seconds_left is None else max(seconds_left, 0)):
            return ["the databases do not answer in time"]
        try:
            if self._checked_at < called_at:
                self._checked_at = self._clock()
                self._report(self._check_all())
            return self._problems
        finally:
            self._lock.release()

    def _report(self, problems: list[str]) -> None:
        if problems and problems != self._problems:
            log.error("not ready: %s", "; ".join(problems))
        elif self._problems and not problems:
            log.warning("ready again")
        self._problems = problems

    def _check_all(self) -> list[str]:
        """Return the problems of all databases, checked at once within the time of this request."""
        with ThreadPoolExecutor(len(self._tree)) as pool:
            checks = [pool.submit(copy_context().run, lambda name=name: list(self._check(name))) for name in self._tree]
            return [problem for check in checks for problem in check.result()]

    def _check(self, name: str) -> Iterator[str]:
        """Yield the problems of one database: a full disk or broken files may affect one and not another."""
        database = self._store[name]
        try:
            deployed, identity = database.design_documents(), self._store.feed(name).identity()
        except Unavailable:
            yield f"{database.name} does not answer, or has not been deployed to (make deploy-views)"
            return
        if identity is None:
            yield f"{database.name} has no feed identity (make deploy-views)"
        for difference in diff.differences({name: self._tree[name]}, {name: deployed}):
            yield f"{name}/{difference.name} is not deployed as in this version (make deploy-views)"
        yield from self._write_problems(database)

    def _write_problems(self, database: Database) -> list[str]:
        """Write a document, since reads still succeed on a full disk (docs/couchdb-quirks.md)."""
        problems, valid_until = self._writes.get(database.name, ([], float("-inf")))
        if self._clock() >= valid_until:
            try:
                database.probe_write(PROBE)
                problems = []
            except Unavailable:
                problems = [f"{database.name} takes no writes; is its disk full?"]
            self._writes[database.name] = problems, self._clock() + VALID_SECONDS
        return problems

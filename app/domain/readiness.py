"""Check that every database answers and accepts writes, and that this version's design documents are deployed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from threading import Lock

from app.errors import Unavailable
from app.request_context import remaining
from app.store import Database, Store
from couchapp import diff, tree

log = logging.getLogger("dreamscript.readiness")

PROBE = "readiness"
# A result answers all requests until it is this old, so that probes cost the databases little.
VALID_SECONDS = 1.0


class Readiness:
    """Compare the deployed design documents with the tree at the start of this process. ``clock`` counts seconds."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._tree, self._clock = store, tree.load(), clock
        self._lock, self._valid_until = Lock(), float("-inf")
        self._problems: list[str] = []

    def problems(self) -> list[str]:
        """Return the problems, in words for an operator; an empty list if the service is ready.

        Simultaneous callers share a check, and every change of the result is logged.
        """
        seconds_left = remaining()
        if not self._lock.acquire(timeout=-1 if seconds_left is None else max(seconds_left, 0)):
            return ["the databases do not answer in time"]
        try:
            if self._clock() >= self._valid_until:
                self._report([problem for name in self._tree for problem in self._check(name)])
                self._valid_until = self._clock() + VALID_SECONDS
            return self._problems
        finally:
            self._lock.release()

    def _report(self, problems: list[str]) -> None:
        if problems and problems != self._problems:
            log.error("not ready: %s", "; ".join(problems))
        elif self._problems and not problems:
            log.warning("ready again")
        self._problems = problems

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
        yield from _write_failure(database)


def _write_failure(database: Database) -> Iterator[str]:
    """Write a document, since reads still succeed on a full disk (docs/couchdb-quirks.md)."""
    try:
        database.probe_write(PROBE)
    except Unavailable:
        yield f"{database.name} takes no writes; is its disk full?"

"""Check that no reader waits for an index while changed views are deployed under load."""

from __future__ import annotations

import itertools
import math
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest

from app.couch.connection import Connection, DatabaseError
from couchapp import deployment, tree
from tests.waiting import MAX_WAIT_SECONDS, wait_until

# `DREAMSCRIPT_PROOF_DOCUMENTS=50000 pytest proofs/test_readers.py -s` is the proof at full size.
DOCUMENTS = int(os.environ.get("DREAMSCRIPT_PROOF_DOCUMENTS", "1000"))
READERS = 4
PAGE = 50
PROJECTS = 20
ROLLBACKS = 4
# Without a limit in the suite, which shares its machine with others.
MAX_READ_SECONDS = 1.0 if "DREAMSCRIPT_PROOF_DOCUMENTS" in os.environ else math.inf
TIME = "2026-01-31T12:00:00.123456Z"


class Reader(threading.Thread):
    """Reads pages of both views and single documents, one after the other without a pause, until it is stopped."""

    def __init__(self, url: str, database: str, stop: threading.Event, seed: int) -> None:
        super().__init__()
        self._connection, self._database, self._stop_reading = Connection(url, timeout=MAX_WAIT_SECONDS), database, stop
        self._random = random.Random(seed)
        self.seconds: list[float] = []
        self.errors: list[str] = []

    def run(self) -> None:
        """Read, and record the errors and the duration of each read."""
        while not self._stop_reading.is_set():
            for read in (self._page, self._project, self._document):
                started = time.perf_counter()
                try:
                    read(self._random.randint(1, DOCUMENTS - PAGE))
                except (AssertionError, DatabaseError) as error:
                    self.errors.append(f"{read.__name__}: {error!r}")
                self.seconds.append(time.perf_counter() - started)
        self._connection.close()

    def _page(self, number: int) -> None:
        params = {"startkey": key(number), "limit": PAGE, "reduce": False}
        rows = self._connection.get(self._database, "_design", "listing", "_view", "by_id", params=params).body["rows"]
        assert [row["id"] for row in rows] == [key(n) for n in range(number, number + PAGE)]

    def _project(self, number: int) -> None:
        project = f"{number % PROJECTS + 1:016d}"
        params = {"startkey": [project], "endkey": [project, {}], "limit": PAGE, "reduce": False}
        path = (self._database, "_design", "listing", "_view", "by_project")
        assert len(self._connection.get(*path, params=params).body["rows"]) == PAGE

    def _document(self, number: int) -> None:
        assert self._connection.get(self._database, key(number)).body["id"] == number


def key(number: int) -> str:
    return f"document:{number:016d}"


def document(number: int) -> dict[str, Any]:
    text = {"title": f"Scene {number}", "content": "INT. HOUSE. NIGHT.\n" * 10}
    times = {"created_at": TIME, "updated_at": TIME}
    project = number % PROJECTS + 1
    return {"_id": key(number), "type": "document", "id": number, "project_id": project, **text, **times}


def fill(connection: Connection, database: str) -> None:
    for start in range(1, DOCUMENTS + 1, 1000):
        docs = [document(number) for number in range(start, min(start + 1000, DOCUMENTS + 1))]
        rows = connection.post(database, "_bulk_docs", body={"docs": docs}).body
        assert not [row for row in rows if "error" in row]


def changed(design_docs: tree.Tree) -> tree.Tree:
    """Return the tree with another index for documents, whose rows are the same."""
    other = deepcopy(design_docs)
    views = other["documents"]["listing"]["views"]
    views["by_title"] = {"map": "(doc) => {\n  emit([doc.title, doc._id], doc._rev);\n}"}
    return other


@contextmanager
def readers(url: str, database: str) -> Iterator[list[Reader]]:
    """Run readers and a writer during the context; each reader makes some reads before and after its body."""
    stop = threading.Event()
    writer = Writer(url, database, stop)
    working = [Reader(url, database, stop, seed) for seed in range(READERS)]
    for thread in (writer, *working):
        thread.start()
    try:
        wait_for_reads(working)
        yield working
        wait_for_reads(working)
    finally:
        stop.set()
        for thread in (writer, *working):
            thread.join()


def wait_for_reads(working: list[Reader], more: int = 30) -> None:
    """Wait until each reader has made ``more`` reads, or has met an error."""
    goals = [(reader, len(reader.seconds) + more) for reader in working]
    wait_until(lambda: all(len(reader.seconds) >= goal or reader.errors for reader, goal in goals), "a goal of reads")


class Writer(threading.Thread):
    """Creates documents above all others, so that the indexes are always behind."""

    def __init__(self, url: str, database: str, stop: threading.Event) -> None:
        super().__init__()
        self._connection, self._database, self._stop_writing = Connection(url, timeout=MAX_WAIT_SECONDS), database, stop

    def run(self) -> None:
        """Write, at most 100 times a second."""
        numbers = itertools.count(2 * DOCUMENTS)
        while not self._stop_writing.wait(0.01):
            number = next(numbers)
            self._connection.put(self._database, key(number), body=document(number))
        self._connection.close()


@pytest.mark.couchdb
@pytest.mark.timeout(900)
def test_no_reader_waits_or_fails_during_deployments_and_rollbacks(
    server_url: str, prefix: str, pytestconfig: pytest.Config
) -> None:
    connection = Connection(server_url, timeout=60)
    design_docs = tree.load()
    deployment.deploy(connection, prefix, design_docs, report=ignore)
    database = f"{prefix}-documents"
    fill(connection, database)
    for view in design_docs["documents"]["listing"]["views"]:
        connection.get(database, "_design", "listing", "_view", view, params={"limit": 1}, timeout=600)
    with readers(server_url, database) as working:
        started = time.perf_counter()
        deployment.deploy(connection, prefix, changed(design_docs), report=ignore)
        took = time.perf_counter() - started
        for _ in range(ROLLBACKS):
            deployment.Deployment(connection, prefix, design_docs, ignore).rollback()
    connection.close()
    seconds = sorted(second for reader in working for second in reader.seconds)
    errors = [error for reader in working for error in reader.errors]
    report = (
        f"{DOCUMENTS} documents, deployed in {took:.1f} s, rolled back {ROLLBACKS} times; {len(seconds)} reads, "
        f"{len(errors)} errors, median {seconds[len(seconds) // 2]:.3f} s, slowest {seconds[-1]:.3f} s"
    )
    pytestconfig.get_terminal_writer().line(f"\n{report}")
    assert errors == []
    assert seconds[-1] < MAX_READ_SECONDS, report


def ignore(_: str) -> None:
    """Report nothing."""

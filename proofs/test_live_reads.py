"""Cached reads of a service with two workers: never older than its own writes, and soon not older than others'.

With DREAMSCRIPT_PROOF_PAIRS, as `make prove-reads` has it, this is the proof at full size.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event

import pytest

from proofs.conftest import WORKERS, Installation
from tests.server.clients import WorkerClient, workers
from tests.server.live import Live
from tests.waiting import wait_until

PAIRS = int(os.environ.get("DREAMSCRIPT_PROOF_PAIRS", "60"))
READERS = 3


@pytest.fixture
def key(installation: Installation) -> str:
    """A key of every scope."""
    return installation.key


def hits(live: Live) -> dict[int, int]:
    """Return the number of answers from memory for each worker."""
    pids = [line["pid"] for line in live.events() if line.get("cache") == "hit"]
    return {pid: pids.count(pid) for pid in set(pids)}


def create(live: Live, key: str) -> str:
    status, created = live.request("POST", "/documents", key, {"title": "0"})
    assert status == 201
    return f"/documents/{created['id']}"


def test_a_write_in_one_worker_shows_in_every_worker(live: Live, key: str) -> None:
    """Before each write all workers have cached the document and its page."""
    path, pids, choice = create(live, key), workers(live, WORKERS), random.Random(1)
    page, missed = f"/documents?ids={path.rpartition('/')[2]}", []
    with WorkerClient(live) as client:
        for number in range(1, PAIRS + 1):
            held = {
                url: [client.request(pid, key, "GET", url).tag for pid in pids for _ in "12"] for url in (path, page)
            }
            writer, reader = choice.choice(pids), choice.choice(pids)
            written = client.request(writer, key, "PUT", path, {"title": str(number)})
            assert written.status == 200
            one, many = (client.request(reader, key, "GET", url, If_None_Match=held[url][-1]) for url in (path, page))
            if (one.status, many.status) != (200, 200) or {one.value["title"], many.value[0]["title"]} != {str(number)}:
                missed.append((number, writer, reader, one, many))
    print(f"{PAIRS} writes, each read at once by a worker: {len(missed)} missed; answers from memory: {hits(live)}")  # noqa: T201
    assert missed == []
    # Of eight reads before a write at least one in each worker is a hit.
    assert min(hits(live).values()) > PAIRS / 4
    assert len(hits(live)) == WORKERS


def test_no_reader_sees_an_older_revision_after_a_newer_one(live: Live, key: str) -> None:
    """Even while the write is in flight, a read that starts after another read gets no older revision."""
    path, pids, ended = create(live, key), workers(live, WORKERS), Event()
    latest, older = [1], []

    def read(number: int) -> int:
        count = 0
        with WorkerClient(live) as client:
            while not ended.is_set():
                floor = latest[0]
                generation = int(
                    client.request(pids[number % WORKERS], key, "GET", path).tag.strip('"').partition("-")[0]
                )
                if generation < floor:
                    older.append((floor, generation))
                latest[0] = max(latest[0], generation)
                count += 1
        return count

    with ThreadPoolExecutor(WORKERS * READERS) as pool, WorkerClient(live) as client:
        readers = [pool.submit(read, number) for number in range(WORKERS * READERS)]
        try:
            for number in range(PAIRS):
                assert client.request(pids[number % WORKERS], key, "PUT", path, {"title": str(number)}).status == 200
        finally:
            ended.set()
        reads = sum(reader.result() for reader in readers)
    print(f"{reads} reads during {PAIRS} writes: {len(older)} saw an older revision than one seen before")  # noqa: T201
    assert older == []
    assert reads > PAIRS


def test_a_write_of_another_host_shows_when_the_feed_reports_it(
    live: Live, installation: Installation, key: str
) -> None:
    """With `no-cache` it is seen at once."""
    lags = []
    with ExitStack() as stack:
        other = stack.enter_context(Live("serve", installation.environ(DREAMSCRIPT_DEADLINE="30")))
        pids, others = workers(live, WORKERS), workers(other, WORKERS)
        here, there = stack.enter_context(WorkerClient(live)), stack.enter_context(WorkerClient(other))
        path = create(live, key)
        for number in range(1, max(10, PAIRS // 50) + 1):
            for pid in others:
                there.request(pid, key, "GET", path)
            assert here.request(pids[0], key, "PUT", path, {"title": str(number)}).status == 200
            written = time.monotonic()
            assert there.request(others[0], key, "GET", path, Cache_Control="no-cache").value["title"] == str(number)
            wait_until(lambda number=number: there.request(others[1], key, "GET", path).value["title"] == str(number))  # type: ignore[misc]
            lags.append(time.monotonic() - written)
    lag = f"median {statistics.median(lags) * 1000:.0f} ms, longest {max(lags) * 1000:.0f} ms"
    print(f"{len(lags)} writes seen on another host after: {lag}")  # noqa: T201

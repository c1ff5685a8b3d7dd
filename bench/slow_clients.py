"""`make bench-slow`: how long ordinary requests take beside many idle connections and dripping bodies."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.synchronize import Event
from statistics import median, quantiles
from typing import NamedTuple

from bench.environment import Environment, Installation
from bench.rows import FIRST_PAGE, item, post, value
from bench.wrk import Request

DOCUMENTS = int(os.environ.get("DREAMSCRIPT_BENCH_DOCUMENTS", "10000"))
ROUNDS = int(os.environ.get("DREAMSCRIPT_BENCH_ROUNDS", "5"))
IDLE, DRIPS = 2_000, 500
DRIP_SECONDS = 0.5
# The service ends each drip at its deadline of 5 s; spread over it, their ends do not come in one burst.
SPREAD_SECONDS = 5
RATE_PER_SECOND, CONNECTIONS = 200, 32
SECONDS = 10
# Percentages of the ordinary requests; the others create a document.
ITEMS, PAGES = 70, 20
# Connections are opened in portions, so that the listener's queue does not overflow.
PORTION, PORTION_PAUSE_SECONDS = 100, 0.05


class Sample(NamedTuple):
    """The statuses of one round, and its 50th and 99th percentile in seconds."""

    statuses: Counter[int]
    p50: float
    p99: float


def message(installation: Installation, request: Request, length: int | None = None) -> bytes:
    """Return the bytes of a request; ``length`` announces a body of another size than its own."""
    size = len(request.body) if length is None else length
    lines = [f"{request.method} {request.path} HTTP/1.1", "Host: bench", f"X-API-Key: {installation.key}"]
    lines += ["Content-Type: application/json", f"Content-Length: {size}"] if size else []
    return "\r\n".join([*lines, "", request.body]).encode()


async def drip(address: str, head: bytes) -> None:
    """Send one byte of a body at a time, again and again: the service ends each request at its deadline."""
    host, port = address.split(":")
    await asyncio.sleep(random.uniform(0, SPREAD_SECONDS))
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head)
            while not reader.at_eof() and not writer.is_closing():
                writer.write(b" ")
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(2**16), DRIP_SECONDS)
            writer.close()


async def idle(address: str) -> None:
    """Open a connection, send nothing but one request, and open another if the service closes it."""
    host, port = address.split(":")
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /livez HTTP/1.1\r\nHost: bench\r\n\r\n")
            while await reader.read(2**16):
                pass
            writer.close()


async def crowd(address: str, head: bytes, ready: Event, end: Event) -> None:
    """Keep all slow clients connected until ``end`` is set."""
    tasks: set[asyncio.Task[None]] = set()
    for start in range(0, IDLE + DRIPS, PORTION):
        for number in range(start, start + PORTION):
            slow = idle(address) if number < IDLE else drip(address, head)
            tasks.add(asyncio.create_task(slow))
        await asyncio.sleep(PORTION_PAUSE_SECONDS)
    await asyncio.sleep(SPREAD_SECONDS)
    ready.set()
    await asyncio.to_thread(end.wait)
    for task in tasks:
        task.cancel()


def run_crowd(address: str, head: bytes, ready: Event, end: Event) -> None:
    """Run the slow clients in a process of their own, so that they do not slow the measuring client down."""
    asyncio.run(crowd(address, head, ready, end))


class Meter:
    """Sends ordinary requests at a fixed rate, and measures each from the time at which it was due."""

    def __init__(self, installation: Installation, address: str) -> None:
        self._installation, self._address = installation, address
        self._statuses, self._seconds = Counter[int](), list[float]()

    async def measure(self) -> Sample:
        """Return the sample of one round."""
        started = time.monotonic()
        await asyncio.gather(*(self._send(started, number) for number in range(CONNECTIONS)))
        cuts = quantiles(self._seconds, n=100)
        return Sample(self._statuses, cuts[49], cuts[98])

    async def _send(self, started: float, first: int) -> None:
        host, port = self._address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for number in range(first, RATE_PER_SECOND * SECONDS, CONNECTIONS):
            due = started + number / RATE_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            writer.write(message(self._installation, self._request()))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.split(b"content-length: ")[1].split(b"\r\n")[0]
            await reader.readexactly(int(length))
            self._seconds.append(time.monotonic() - due)
            self._statuses[int(head.split()[1])] += 1
        writer.close()

    def _request(self) -> Request:
        public_id, draw = random.randint(1, self._installation.documents), random.randrange(100)
        if draw < ITEMS:
            return item(public_id)
        return Request(FIRST_PAGE) if draw < ITEMS + PAGES else post("/documents", value())


def alone(installation: Installation, address: str) -> Sample:
    """Measure a round without slow clients."""
    return asyncio.run(Meter(installation, address).measure())


def beside(installation: Installation, address: str) -> Sample:
    """Measure a round beside the slow clients."""
    processes = multiprocessing.get_context("spawn")
    ready, end = processes.Event(), processes.Event()
    head = message(installation, post("/documents", value()), 100_000)
    process = processes.Process(target=run_crowd, args=(address, head[: head.index(b"\r\n\r\n") + 4], ready, end))
    process.start()
    try:
        assert ready.wait(60), "the slow clients could not connect"
        return alone(installation, address)
    finally:
        end.set()
        process.join()


def report(name: str, samples: Sequence[Sample]) -> None:
    """Print the medians of the rounds' percentiles, and all statuses."""
    statuses = sum((sample.statuses for sample in samples), Counter[int]())
    p50, p99 = (1000 * median(values) for values in zip(*((s.p50, s.p99) for s in samples), strict=True))
    print(f"{name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, statuses {dict(statuses)}")


def main() -> int:
    """Measure on the tests' database, with and without the slow clients in turns."""
    with Environment() as environment:
        installation = environment.install(DOCUMENTS)
        with installation.serve() as live:
            alone(installation, live.address)
            rounds = [(alone(installation, live.address), beside(installation, live.address)) for _ in range(ROUNDS)]
    calm, crowded = zip(*rounds, strict=True)
    report(f"{RATE_PER_SECOND} requests a second alone", calm)
    report(f"the same beside {IDLE:,} idle connections and {DRIPS} dripping bodies", crowded)
    ratio = median(slow.p99 / calm.p99 for calm, slow in rounds)
    print(f"p99 beside slow clients / alone: {ratio:.2f} (median of {ROUNDS} rounds)")
    return 0


if __name__ == "__main__":
    sys.exit(main())

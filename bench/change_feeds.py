"""`make bench-changes`: how soon streams report a change, and the cost of clients that wait.

Three measurements on the tests' database: the time from a write to its event on many streams; the speed of reads
beside many waiting clients, as a ratio to that without, and the memory and threads that these take; and the first sync
of a key that sees a few documents of many (first_sync.py).
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median, quantiles

from bench import processes, wrk
from bench.environment import Environment, Installation, get
from bench.first_sync import FEW, MANY, bench_first_sync
from bench.rows import item
from bench.wrk import Target
from tests.server.live import Live

ROUNDS = int(os.environ.get("DREAMSCRIPT_BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("DREAMSCRIPT_BENCH_SECONDS", "10"))
STREAMS, WRITES_PER_SECOND, WRITERS = 100, 50, 10
WAITING = 1_000
PORTION, PORTION_PAUSE_SECONDS = 50, 0.05
READ_CONNECTIONS = 8
STREAM = "/changes?since=now&feed=eventsource&include=value&type=document"
LONG_POLL = "/changes?since={since}&feed=longpoll&timeout=60&type=document"
MARK = b'"title":"at '


def head(installation: Installation, path: str, method: str = "GET", body: bytes = b"") -> bytes:
    """Return a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"X-API-Key: {installation.key}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode() + body


async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection to the service."""
    host, port = address.split(":")
    return await asyncio.open_connection(host, int(port))


async def follow(installation: Installation, address: str, ready: asyncio.Semaphore, delays: list[float]) -> None:
    """Read a stream, and note for each event the seconds since the write of its document was sent."""
    reader, writer = await connect(address)
    writer.write(head(installation, STREAM))
    await reader.readuntil(b"event: ready")
    ready.release()
    try:
        while line := await reader.readline():
            if MARK in line:
                sent = line.partition(MARK)[2].partition(b'"')[0]
                delays.append(time.monotonic() - float(sent))
    finally:
        writer.close()


async def write(installation: Installation, address: str, number: int, end: float) -> int:
    """Change documents at a steady pace until ``end``; their titles are the times at which they were sent."""
    reader, writer = await connect(address)
    own, count, due = range(number + 1, installation.documents + 1, WRITERS), 0, time.monotonic()
    while (due := due + WRITERS / WRITES_PER_SECOND) < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        title = json.dumps({"title": f"at {time.monotonic()}"}).encode()
        writer.write(head(installation, f"/documents/{own[count % len(own)]}", "PATCH", title))
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.split()[1] == b"200", answer
        await reader.readexactly(int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        count += 1
    writer.close()
    return count


async def measure_delays(installation: Installation, address: str) -> tuple[int, list[float]]:
    """Return the number of writes, and the delays of all of their events on all streams."""
    ready, delays = asyncio.Semaphore(0), list[float]()
    followers = [asyncio.create_task(follow(installation, address, ready, delays)) for _ in range(STREAMS)]
    for _ in followers:
        await ready.acquire()
    end = time.monotonic() + SECONDS
    writes = sum(await asyncio.gather(*(write(installation, address, number, end) for number in range(WRITERS))))
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            while len(delays) < writes * STREAMS:
                await asyncio.sleep(0.05)
    for follower in followers:
        follower.cancel()
    return writes, delays


def bench_delays(installation: Installation, address: str) -> None:
    """Print how soon the streams report changes."""
    for _ in range(ROUNDS):
        writes, delays = asyncio.run(measure_delays(installation, address))
        cuts = [1000 * cut for cut in quantiles(delays, n=100)]
        print(
            f"{writes} writes at {WRITES_PER_SECOND}/s, {len(delays):,} of {writes * STREAMS:,} events on {STREAMS} "
            f"streams: from the request of the write to the event p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms "
            "(goal 250 ms)"
        )


async def wait(installation: Installation, address: str, path: str) -> None:
    """Wait on a stream or in long-polls, and begin again when one ends."""
    while True:
        with suppress(OSError):
            reader, writer = await connect(address)
            writer.write(head(installation, path))
            while await reader.read(2**16):
                pass
            writer.close()


async def crowd(installation: Installation, address: str, since: str, ready: Event, end: Event) -> None:
    """Keep all waiting clients connected until ``end`` is set."""
    paths = [STREAM, LONG_POLL.format(since=since)]
    tasks: list[asyncio.Task[None]] = []
    for start in range(0, 2 * WAITING, PORTION):
        numbers = range(start, start + PORTION)
        tasks += [asyncio.create_task(wait(installation, address, paths[number % 2])) for number in numbers]
        await asyncio.sleep(PORTION_PAUSE_SECONDS)
    await asyncio.sleep(5)
    ready.set()
    await asyncio.to_thread(end.wait)
    for task in tasks:
        task.cancel()


def run_crowd(installation: Installation, address: str, since: str, ready: Event, end: Event) -> None:
    """Run the waiting clients in a process of their own, so that they do not slow the measuring client down."""
    asyncio.run(crowd(installation, address, since, ready, end))


@contextmanager
def waiting_clients(installation: Installation, address: str) -> Iterator[None]:
    """Keep WAITING streams and as many long-polls connected."""
    since = get(installation, address, "/changes?since=now&type=document")["next"]
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    process = context.Process(target=run_crowd, args=(installation, address, since, ready, end))
    process.start()
    try:
        assert ready.wait(120), "the waiting clients could not connect"
        yield
    finally:
        end.set()
        process.join()


def read_rate(installation: Installation, address: str) -> float:
    """Return the reads of single documents per second, most of them from the cache."""
    ids = random.Random(1).choices(range(1, installation.documents + 1), k=1000)
    target = Target(address, {"X-API-Key": installation.key}, [item(public_id) for public_id in ids])
    return wrk.run(target, READ_CONNECTIONS, 3).rate


def size(live: Live) -> str:
    """Return the memory and the number of threads of each worker."""
    workers = processes.descendants(live.pid)
    memory = [f"{processes.memory(pid).pss:.0f}" for pid in workers]
    threads = [str(len(list(Path(f"/proc/{pid}/task").iterdir()))) for pid in workers]
    return f"{' and '.join(memory)} MiB of its own share, {' and '.join(threads)} threads"


def bench_waiting(installation: Installation, live: Live) -> None:
    """Print the speed of reads beside waiting clients, and their cost."""
    read_rate(installation, live.address)
    ratios = []
    for number in range(ROUNDS):
        alone = read_rate(installation, live.address)
        before = size(live)
        with waiting_clients(installation, live.address):
            if number == 0:
                print(f"a worker before: {before}")
                print(f"a worker with {WAITING:,} streams and {WAITING:,} long-polls on the service: {size(live)}")
            ratios.append(read_rate(installation, live.address) / alone)
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"reads beside them / without: {median(ratios):.2f} ({each}; goal 0.95)")


def main() -> int:
    """Measure on the tests' database."""
    with Environment() as environment:
        few, many = environment.install(FEW, "few"), environment.install(MANY, "many")
        with few.serve() as live:
            bench_delays(few, live.address)
            if wrk.is_installed():
                bench_waiting(few, live)
            else:
                print(wrk.MISSING, file=sys.stderr)
        bench_first_sync((few, many))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`make bench-memory`: the memory of the workers while they answer an hour's worth of requests."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator, Sequence

from bench import processes, wrk
from bench.environment import Environment
from bench.figures import is_flat
from bench.rows import JSON, Scene, item, post, value
from bench.walking import warmed
from bench.wrk import Request, Target
from tests.server.live import Live

DOCUMENTS = int(os.environ.get("DREAMSCRIPT_BENCH_DOCUMENTS", "100000"))
# One hour at 200 per second.
REQUESTS = int(os.environ.get("DREAMSCRIPT_BENCH_REQUESTS", "720000"))
SECONDS = int(os.environ.get("DREAMSCRIPT_BENCH_SECONDS", "3"))
GOAL = 150  # MiB for each worker.
SAMPLES = 10
# Requests prepared in advance and sent in a loop; the shares of the mix below are percentages.
MIXED = 20_000
ITEMS, PAGES, UNCHANGED, WRITES = 70, 20, 5, 5


def mix(scene: Scene) -> list[Request]:
    """Return requests of all kinds in random order; the written documents are not those that must be unchanged."""
    draw, half, hundreds = random.Random(4), scene.installation.documents // 2, MIXED // 100
    ids = range(1, scene.installation.documents + 1)
    requests = [item(public_id) for public_id in draw.choices(ids, k=ITEMS * hundreds)]
    requests += [Request(path) for path, _ in draw.choices(scene.links, k=PAGES * hundreds)]
    requests += [
        scene.tagged(f"/documents/{public_id}") for public_id in draw.choices(ids[:half], k=UNCHANGED * hundreds)
    ]
    for number, public_id in enumerate(draw.choices(ids[half:], k=WRITES * hundreds)):
        patch = Request(f"/documents/{public_id}", "PATCH", body='{"content": "Changed."}')
        requests.append(patch if number % 2 else post("/documents", value()))
    draw.shuffle(requests)
    return requests


def sample(live: Live) -> list[float]:
    """Print the memory and descriptors of each worker. Returns their shares of memory, in MiB."""
    shares = []
    for pid in processes.descendants(live.pid):
        memory, descriptors = processes.memory(pid), processes.descriptors(pid)
        shares.append(memory.pss)
        print(
            f"  process {pid}: {memory.rss:.0f} MiB resident, {memory.pss:.0f} MiB of its own share, "
            f"{descriptors.all} descriptors, {descriptors.sockets} of them sockets",
            flush=True,
        )
    return shares


def samples(live: Live, target: Target) -> Iterator[float]:
    """Send the requests; yield the largest share of memory of a worker at the start and after each tenth."""
    sent = 0
    for number in range(SAMPLES + 1):
        while sent < REQUESTS * number / SAMPLES:
            sent += wrk.run(target, 8, SECONDS, sent % MIXED).requests
        print(f"{sent:,} requests")
        yield max(sample(live))


def verdict(sizes: Sequence[float]) -> str:
    """Return whether the goals are reached: a maximum size, and no growth after half time."""
    size = f"{sizes[-1]:.0f} MiB in the end, goal at most {GOAL}: {'reached' if sizes[-1] <= GOAL else 'not reached'}"
    flat = "within a tenth" if is_flat(sizes) else "not within a tenth"
    return f"{size}; {flat} of the {sizes[SAMPLES // 2]:.0f} MiB half way"


def main() -> int:
    """Measure on the tests' database."""
    if not wrk.is_installed():
        print(wrk.MISSING, file=sys.stderr)
        return 2
    with Environment() as environment:
        installation = environment.install(DOCUMENTS)
        with installation.serve() as live:
            scene = warmed(Scene(installation, live.address, *environment.couchdb))
            print(verdict(list(samples(live, scene.ours(*mix(scene), expects=200, **JSON)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())

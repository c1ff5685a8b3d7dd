"""`make bench-scale`: the time of a page of 50 among few and among many documents, in turns in one run."""

from __future__ import annotations

import os
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from bench.environment import Environment, Installation
from bench.pages import Client, timed
from bench.rows import PAGE, Scene, page
from bench.walking import LARGEST, walk
from tests.server.live import Live

FEW = 1_000
MANY = int(os.environ.get("DREAMSCRIPT_BENCH_SCALE", "1000000"))
# Each round restarts the services, so that each page is requested for the first time.
ROUNDS = int(os.environ.get("DREAMSCRIPT_BENCH_ROUNDS", "5"))
PLACES = 15
GOAL = 1.3
NO_CACHE = {"Cache-Control": "no-cache"}
Seconds = dict[tuple[str, int], list[float]]


def links(environment: Environment, installation: Installation) -> list[str]:
    """Return the starts of pages spread over all documents, for the rounds to choose from."""
    with installation.serve() as live:
        scene = Scene(installation, live.address, *environment.couchdb)
        # Walk in large steps if there are enough documents.
        step = LARGEST if installation.documents >= LARGEST * PLACES * 2 else PAGE
        return [page(cursor) for cursor, _ in walk(scene, step)]


def measure(sides: Sequence[tuple[Installation, Sequence[str]]], number: int, seconds: Seconds) -> None:
    """Add the times of one round; both sides answer each kind of request in turns."""
    with ExitStack() as stack:
        clients = []
        for installation, paths in sides:
            live: Live = stack.enter_context(installation.serve())
            client = Client(live.address, installation.key)
            # Look up the key and open the connections before anything is timed.
            client.get("/documents?limit=1")
            places = random.Random(number).sample(list(paths), PLACES)
            clients.append((installation.documents, client, places))
        for kind, headers in (("first time", {}), ("warm", {}), ("no-cache", NO_CACHE)):
            for turn in range(PLACES):
                for documents, client, places in clients:
                    seconds[kind, documents].append(timed(asking(client, places[turn], headers)))


def asking(client: Client, path: str, headers: Mapping[str, str]) -> Callable[[], object]:
    """Return a function that reads a page."""
    return lambda: client.get(path, headers)


def report(seconds: Seconds) -> None:
    """Print medians side by side, and their ratios against the goal."""
    for kind in ("first time", "no-cache", "warm"):
        few, many = (1000 * statistics.median(seconds[kind, documents]) for documents in (FEW, MANY))
        reached = "reached" if many / few <= GOAL else "not reached"
        print(
            f"page of {PAGE}, {kind:10}  {few:7.2f} ms among {FEW:,}, {many:7.2f} ms among {MANY:,}: "
            f"{many / few:.2f} times (goal at most {GOAL:g}: {reached})"
        )


def main() -> None:
    """Measure on the tests' database."""
    with Environment() as environment:
        print(f"{environment.name}; {ROUNDS} rounds of {PLACES} places", flush=True)
        few, many = (replace(environment.install(n, name), workers=1) for n, name in ((FEW, "few"), (MANY, "many")))
        sides = [(one, links(environment, one)) for one in (few, many)]
        seconds: Seconds = defaultdict(list)
        for number in range(ROUNDS):
            measure(sides, number, seconds)
        report(seconds)


if __name__ == "__main__":
    main()

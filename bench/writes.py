"""`make bench-writes`: writes per second through the service, and to CouchDB alone."""

from __future__ import annotations

import json
import os
import secrets
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from app.couch.connection import Connection
from app.domain.resource_types import DOCUMENT
from bench.load import Target, throughput
from tests.api.conftest import deployed_settings
from tests.databases import TestDatabase
from tests.server.live import SECRET, Live, command, environment

ROUNDS = int(os.environ.get("DREAMSCRIPT_BENCH_ROUNDS", "7"))
SECONDS = 2.0
WORKERS = 2
BATCH = 1000
SIZE = 300
TIME = "2026-01-31T12:00:00.000000Z"
SERVICE = "the service"
ALONE = "CouchDB alone"
VALIDATED = "CouchDB, with validators"


@dataclass(frozen=True)
class Contest:
    """The same work for several targets; each answer stands for ``writes`` documents."""

    name: str
    targets: Mapping[str, Target]
    connections: int
    writes: int = 1


def value() -> dict[str, str]:
    """Return a client's document, SIZE bytes of JSON."""
    empty = json.dumps({"title": "Measured", "content": ""})
    return {"title": "Measured", "content": "x" * (SIZE - len(empty))}


def stored(numbers: Iterator[int]) -> dict[str, object]:
    """Return the next document as the service would store it."""
    public_id = next(numbers)
    head = {"_id": DOCUMENT.doc_id(public_id), "type": "document", "id": public_id}
    return {**head, **value(), "created_at": TIME, "updated_at": TIME, "nonce": secrets.token_hex(16)}


def fixed(body: object) -> Callable[[], bytes]:
    """Return a function that always returns the same body."""
    text = json.dumps(body).encode()
    return lambda: text


def contests(service: str, key: str, couchdb: str, bare: str, validated: str) -> Iterator[Contest]:
    """Yield the contests; ``bare`` and ``validated`` are databases of ``couchdb`` without other writers."""
    own, numbers = {"X-API-Key": key}, count(1)
    single = {
        SERVICE: Target(f"http://{service}/documents", own, fixed(value())),
        ALONE: Target(f"{couchdb}/{bare}", {}, fixed(value())),
        VALIDATED: Target(f"{couchdb}/{validated}", {}, lambda: json.dumps(stored(numbers)).encode()),
    }
    for connections in (1, 8, 32):
        yield Contest(f"single writes, {connections} at once", single, connections)
    operations = {"operations": [{"op": "create", "value": value()}] * BATCH}
    many = {
        SERVICE: Target(f"http://{service}/documents/batch", own, fixed(operations), 200),
        ALONE: Target(f"{couchdb}/{bare}/_bulk_docs", {}, fixed({"docs": [value()] * BATCH})),
        VALIDATED: Target(
            f"{couchdb}/{validated}/_bulk_docs",
            {},
            lambda: json.dumps({"docs": [stored(numbers) for _ in range(BATCH)]}).encode(),
        ),
    }
    yield Contest(f"batches of {BATCH}", many, 1, BATCH)


def measure(contest: Contest) -> None:
    """Print the writes per second of each target and its ratio to the service, medians of rounds.

    In each round the targets take turns, and over the rounds they take turns at being first, so that other load
    on the machine affects all equally; CouchDB goes on indexing for a while after a write.
    """
    samples: dict[str, list[float]] = {name: [] for name in contest.targets}
    elapsed, used = time.perf_counter(), time.process_time()
    for number in range(ROUNDS + 1):
        for name in _rotated(list(contest.targets), number):
            target = contest.targets[name]
            rate = contest.writes * throughput(target, contest.connections, SECONDS)
            if number:  # The first round warms up.
                samples[name].append(rate)
    share = (time.process_time() - used) / (time.perf_counter() - elapsed)
    print(f"{contest.name} (the load generator used {share:.0%} of a core)")
    for name, rates in samples.items():
        ratios = [own / other for own, other in zip(samples[SERVICE], rates, strict=True)]
        ratio = "" if name == SERVICE else f"   service / it {statistics.median(ratios):5.2f}"
        spread = f"{min(rates):.0f} to {max(rates):.0f}"
        print(f"  {name:26} {statistics.median(rates):7.0f} writes/s ({spread}){ratio}")


def _rotated(names: list[str], number: int) -> list[str]:
    first = number % len(names)
    return names[first:] + names[:first]


@contextmanager
def serving(url: str, prefix: str) -> Iterator[tuple[Live, str]]:
    """Yield a service with its own databases, and a key that writes documents."""
    deployed_settings(url, prefix)
    environ = environment(
        COUCHDB_URL=url,
        DREAMSCRIPT_DATABASE_PREFIX=prefix,
        DREAMSCRIPT_SECRET_KEY=SECRET,
        DREAMSCRIPT_WORKERS=str(WORKERS),
        DREAMSCRIPT_RATE_LIMIT="off",
    )
    made = command("keys", "create", "bench", "--scope", "documents:write", environ=environ)
    with Live("serve", environ) as live:
        yield live, made.stdout.split()[-1]


def main() -> None:
    """Measure on the tests' database."""
    server, prefix = TestDatabase(), f"bench{secrets.token_hex(3)}"
    print(f"{server.title}; documents of {SIZE} bytes, {WORKERS} workers, {ROUNDS} rounds of {SECONDS:.0f} s each")
    url = server.running.url
    connection = Connection(url, timeout=60)
    bare, validated = f"{prefix}-bare", f"{prefix}x"
    try:
        connection.put(bare)
        deployed_settings(url, validated)
        with serving(url, prefix) as (live, key):
            batches, _ = live.request("POST", "/documents/batch", key, {"operations": []})
            for contest in contests(live.address, key, url, bare, f"{validated}-documents"):
                if contest.writes == 1 or batches not in (404, 405):
                    measure(contest)
    finally:
        for name in connection.get("_all_dbs").body:
            if name.startswith(prefix):
                connection.delete(name)
        connection.close()
        server.stop()


if __name__ == "__main__":
    main()

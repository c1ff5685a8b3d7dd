"""Part of `make prove-keys`: measure in random order whether the time of a refusal reveals its reason.

Each pair of requests that must look alike is sent as often as DREAMSCRIPT_PROOF_REFUSALS says, and compared by the
Mann-Whitney test: z is normally distributed if nothing differs, so that beyond 2.6 the two differ with 99%
certainty. The share is the frequency of pairs with a slower first member: 50% if they are alike.
"""

from __future__ import annotations

import math
import os
import random
import secrets
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from http.client import HTTPConnection
from itertools import cycle
from typing import NamedTuple

from app.couch.connection import Connection
from app.domain.access import SCOPES
from app.domain.keys.key_text import compose
from app.domain.resources import DOCUMENT, timestamp
from app.services import Services
from app.wiring import build_services
from bench.pages import timed
from tests.api.conftest import deployed_settings
from tests.databases import TestDatabase
from tests.server.live import SECRET, Live, environment

REFUSALS = int(os.environ.get("DREAMSCRIPT_PROOF_REFUSALS", "10000"))
# Documents of others, between whose ids others are free.
DOCUMENTS = 1_000
FIRST_ID = 1_000_000
# Few enough to be used again while a process remembers them, and too many for that.
FEW, MANY = 10, 600
CERTAIN = 2.6
BOOTSTRAPS = 200


class Comparison(NamedTuple):
    """The comparison of two samples of seconds."""

    z: float
    share: float


def compare(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Return the Mann-Whitney test by its normal approximation, with mean ranks for ties and their correction."""
    counts = Counter([*first, *second])
    ranks, below = dict[float, float](), 0
    for value in sorted(counts):
        ranks[value] = below + (counts[value] + 1) / 2
        below += counts[value]
    n, m = len(first), len(second)
    u = sum(ranks[value] for value in first) - n * (n + 1) / 2
    ties = sum(count**3 - count for count in counts.values())
    variance = n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)))
    return Comparison((u - n * m / 2) / math.sqrt(variance), u / (n * m))


def interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Return the bounds of the difference of medians with 95% certainty, by the bootstrap."""
    draw = random.Random(1)
    differences = sorted(
        statistics.median(draw.choices(first, k=len(first))) - statistics.median(draw.choices(second, k=len(second)))
        for _ in range(BOOTSTRAPS)
    )
    return differences[BOOTSTRAPS // 40], differences[-BOOTSTRAPS // 40 - 1]


def fill(services: Services) -> None:
    """Store documents of others under every second id."""
    now, connection = timestamp(), Connection(services.settings.couchdb_url, timeout=60)
    ids = range(FIRST_ID, FIRST_ID + 2 * DOCUMENTS, 2)
    head = {"type": "document", "project_id": 2, "title": "Foreign", "created_at": now, "updated_at": now}
    documents = [{"_id": DOCUMENT.doc_id(number), "id": number, **head} for number in ids]
    database = f"{services.settings.prefix}-documents"
    connection.post(database, "_bulk_docs", body={"docs": documents})
    connection.get(database, "_design", "listing", "_view", "by_id", params={"limit": 1}, timeout=600)
    connection.close()


def requests(services: Services) -> dict[str, Callable[[], tuple[str, str]]]:
    """Return for each kind of refusal an iterator of the paths and keys of its requests."""
    _, limited = services.keys.create("limited", SCOPES, projects=[1], out_of_scope="hide")
    unknown, revoked = ([make() for _ in range(MANY + FEW)] for make in (strange, partial(end, services)))
    draw = random.Random(2)

    def document(odd: int) -> str:
        # Never the first, which has no predecessor.
        return f"/documents/{FIRST_ID + 2 * draw.randrange(1, DOCUMENTS) + odd}"

    def with_key(texts: list[str]) -> Callable[[], tuple[str, str]]:
        turns = cycle(texts)
        return lambda: ("/documents", next(turns))

    return {
        "absent document": lambda: (document(1), limited),
        "foreign document": lambda: (document(0), limited),
        "unknown key": with_key(unknown[:FEW]),
        "revoked key": with_key(revoked[:FEW]),
        "unknown key, after a while": with_key(unknown[FEW:]),
        "revoked key, after a while": with_key(revoked[FEW:]),
    }


def strange() -> str:
    """Return a well-formed key that does not exist."""
    return compose("live", secrets.token_bytes(32))


def end(services: Services) -> str:
    """Return a key that was revoked."""
    key, text = services.keys.create("revoked", SCOPES)
    services.keys.revoke(key.id)
    return text


def measure(connection: HTTPConnection, kinds: dict[str, Callable[[], tuple[str, str]]]) -> dict[str, list[float]]:
    """Return the seconds of each request, by kind; they are sent in random order over one connection."""
    order = [name for name in kinds for _ in range(REFUSALS)]
    random.Random(3).shuffle(order)
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for name in order:
        path, key = kinds[name]()
        seconds[name].append(timed(lambda path=path, key=key: refuse(connection, path, key)))  # type: ignore[misc]
    return seconds


def refuse(connection: HTTPConnection, path: str, key: str) -> None:
    """Send a request that is refused, and read the answer to its end."""
    connection.request("GET", path, headers={"X-API-Key": key})
    answer = connection.getresponse()
    answer.read()
    assert answer.status in (401, 404), answer.status


def report(seconds: dict[str, list[float]], first: str, second: str) -> None:
    """Print how two kinds of refusal compare."""
    one, other = seconds[first], seconds[second]
    z, share = compare(one, other)
    low, high = (1e6 * bound for bound in interval(one, other))
    medians = " and ".join(f"{1e3 * statistics.median(seconds[name]):.3f} ms" for name in (first, second))
    verdict = "distinguishable" if abs(z) > CERTAIN else "not distinguishable"
    print(f"{first} and {second}: medians {medians}, difference {low:.0f} to {high:.0f} µs (95%)")
    print(f"    Mann-Whitney z = {z:.2f}, share {share:.1%}: {verdict}")


def main() -> None:
    """Measure on the tests' database, with one worker, so that all requests share one memory."""
    server, prefix = TestDatabase(), f"times{secrets.token_hex(3)}"
    url = server.running.url
    print(f"{server.title}; {REFUSALS} refusals of each kind")
    services = build_services(deployed_settings(url, prefix, secrets=(SECRET,)))
    try:
        fill(services)
        kinds = requests(services)
        environ = environment(
            COUCHDB_URL=url,
            DREAMSCRIPT_DATABASE_PREFIX=prefix,
            DREAMSCRIPT_SECRET_KEY=SECRET,
            DREAMSCRIPT_WORKERS="1",
            DREAMSCRIPT_RATE_LIMIT="off",
        )
        with Live("serve", environ) as live:
            seconds = measure(live.connect(), kinds)
        report(seconds, "absent document", "foreign document")
        report(seconds, "unknown key", "revoked key")
        report(seconds, "unknown key, after a while", "revoked key, after a while")
    finally:
        services.close()
        connection = Connection(url, timeout=60)
        for name in ("documents", "projects", "keys", "meta", "history"):
            connection.delete(f"{prefix}-{name}")
        connection.close()
        server.stop()


if __name__ == "__main__":
    main()

"""Measure the first sync of a key that sees a few documents, among many documents and among few."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from statistics import median

from bench.environment import Installation, get
from tests.server.live import command

ROUNDS = int(os.environ.get("DREAMSCRIPT_BENCH_ROUNDS", "5"))
# The documents of the databases that a first sync is compared on, and the documents that its key sees.
FEW, MANY, SEEN = 1_000, int(os.environ.get("DREAMSCRIPT_BENCH_DOCUMENTS", "100000")), 100


def limited(installation: Installation) -> Installation:
    """Return the installation with a key that sees SEEN documents, spread over all of them."""
    step = installation.documents // SEEN
    ids = [part for number in range(SEEN) for part in ("--document", str(number * step + 1))]
    process = command("keys", "create", "limited", "--scope", "documents:read", *ids, environ=installation.environ)
    assert process.returncode == 0, process.stderr
    key = process.stdout.split()[-1]
    return Installation(installation.couchdb, installation.prefix, installation.documents, key)


def sync_seconds(installation: Installation, address: str) -> float:
    """Return how long a first sync takes until it is caught up."""
    started, count, path = time.monotonic(), 0, "/changes?include=value&limit=1000"
    while True:
        answer = get(installation, address, path)
        count += len(answer["changes"])  # type: ignore[arg-type]
        if answer["caught_up"]:
            assert count == SEEN, count
            return time.monotonic() - started
        path = f"/changes?include=value&limit=1000&since={answer['next']}"


def bench_first_sync(installations: Sequence[Installation]) -> None:
    """Print the time of a first sync among many documents, as a ratio to that among few."""
    few, many = map(limited, installations)
    with few.serve() as live_few, many.serve() as live_many:
        for installation, live in ((few, live_few), (many, live_many)):
            sync_seconds(installation, live.address)
        ratios = [
            sync_seconds(many, live_many.address) / sync_seconds(few, live_few.address) for _ in range(4 * ROUNDS)
        ]
    print(
        f"first sync of {SEEN} documents among {MANY:,} / among {FEW:,}: {median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}; goal at most 1.5)"
    )

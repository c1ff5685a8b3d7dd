"""Regions that replicate end with the same revision of each document, and lose no line (`make prove-convergence`).

Each set of leaves is merged once, and each leaf has one tombstone.

The proof starts a CouchDB for each region; the suite uses databases of one server.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from app.local_couchdb.wire import request
from conftest import delete_databases
from proofs.convergence import Regions
from proofs.node import Node
from proofs.resolver_writes import ResolverWrites
from tests.domain.conflicts.database_region import DatabaseRegion

pytestmark = [pytest.mark.couchdb, pytest.mark.timeout(7200)]

ROUNDS = int(os.environ.get("DREAMSCRIPT_PROOF_CONVERGENCE", "6"))
IS_PROOF = "DREAMSCRIPT_PROOF_CONVERGENCE" in os.environ
DOCUMENTS, EDITS = 3, 4
# Rounds between two checks that all regions are alike.
ROUNDS_PER_CHECK = 10 if IS_PROOF else 3
# Seconds after the end without any write.
QUIET_SECONDS = 60.0 if IS_PROOF else 0.0


@pytest.fixture
def urls(server_url: str, tmp_path: Path) -> Iterator[list[str]]:
    """The servers of up to three regions."""
    with ExitStack() as running:
        if not IS_PROOF:
            yield [server_url] * 3
            return
        folders = [tmp_path / str(number) for number in range(3)]
        for folder in folders:
            folder.mkdir()
        urls = [running.enter_context(Node("installed", folder)).url for folder in folders]
        for url in urls:
            # CouchDB starts a replication after a random time of up to 5 seconds.
            assert request(url, "PUT", "/_node/_local/_config/replicator/startup_jitter", "0")[0] == 200
        yield urls


@pytest.fixture
def prefixes() -> Iterator[Callable[[str], str]]:
    """Return a new prefix for databases of a server, which are deleted after the test."""
    with ExitStack() as created:

        def prefix(url: str) -> str:
            name = f"t{secrets.token_hex(4)}"
            created.callback(delete_databases, url, name)
            return name

        yield prefix


@pytest.mark.parametrize(
    ("links", "share"),
    [(((0, 1), (1, 0)), 1), (((0, 1), (1, 2), (2, 0)), 10)],
    ids=["two regions", "a ring of three"],
)
def test_regions_converge(
    urls: list[str],
    prefixes: Callable[[str], str],
    seed: int,
    report: Callable[[str], None],
    links: tuple[tuple[int, int], ...],
    share: int,
) -> None:
    count, random, started_at, writes = len(links), Random(seed), time.monotonic(), ResolverWrites()
    with ExitStack() as opened:
        opened.enter_context(writes.recording())
        regions = [DatabaseRegion(urls[number], prefixes(urls[number]), number, count) for number in range(count)]
        for region in regions:
            opened.callback(region.close)
        world = Regions(regions, links, random)
        world.create(DOCUMENTS)
        rounds = max(ROUNDS // share, ROUNDS_PER_CHECK)
        for number in range(1, rounds + 1):
            world.edit_at_random(EDITS)
            world.heal_at_random()
            if number % ROUNDS_PER_CHECK == 0 or number == rounds:
                ends = world.assert_alike()
                report(f"round {number}: {world.edits} edits, {dict(ends)}, {time.monotonic() - started_at:.0f} s")
                world.resolve_clashes()
        world.assert_alike()
        world.assert_quiet(QUIET_SECONDS)
        merges = writes.check(regions, list(world.lines))
    seconds, sets = time.monotonic() - started_at, len(writes.needed)
    report(f"{rounds} rounds, {world.edits} edits, {merges} merges of {sets} sets of leaves, {seconds:.0f} s")

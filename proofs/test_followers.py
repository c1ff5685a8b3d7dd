"""Clients that follow the changes end with exactly the items that their keys may read during faults.

With DREAMSCRIPT_PROOF_ACTIONS, as `make prove-changes` has it, this is the proof at full size.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Callable, Iterator

import pytest

from app.services import Services
from app.wiring import build_services
from proofs.audience import Audience, readers, words
from proofs.conftest import Installation, install
from proofs.editors import Editors, World
from proofs.faults import CUT_AFTER, CUT_BEFORE, CUT_WITHIN
from proofs.feed_faults import LATE, REWIND, asks_for_changes, either
from proofs.node import Node
from proofs.proxy import Proxy, by_seed
from proofs.service import Service

ACTIONS = int(os.environ.get("DREAMSCRIPT_PROOF_ACTIONS", "80"))
# Kinds of feeds for each key, of four. The usual suite shares its machine with others.
FEEDS_EACH = 4 if ACTIONS >= 1000 else 2
# Actions between two faults. Every third one is a restart of the database, and the others kill a worker.
BETWEEN = max(30, ACTIONS // 40)
CUTS = {CUT_AFTER: 0.01, CUT_WITHIN: 0.005, CUT_BEFORE: 0.01}
# The shares of requests for changes that go back, and that are answered late.
FEED_FAULTS = {REWIND: 0.02, LATE: 0.2}
# Seconds until the next fault, at most.
MAX_ACTION_SECONDS = 600.0


@pytest.fixture(scope="module")
def own(node: Node) -> Installation:
    """An installation on a server that may be killed."""
    return install(node.url, f"t{secrets.token_hex(4)}")


@pytest.fixture(scope="module")
def beside(own: Installation) -> Iterator[Services]:
    """The services of a process beside the service."""
    services = build_services(own.settings)
    yield services
    services.close()


@pytest.fixture(scope="module")
def line(node: Node) -> Iterator[Proxy]:
    """The proxy between the service and the server."""
    with Proxy(node.url) as running:
        yield running


@pytest.fixture(scope="module")
def behind(own: Installation, line: Proxy) -> Iterator[Service]:
    """The service, behind the proxy."""
    with Service(own.environ(line.url)) as running:
        yield running


@pytest.mark.timeout(3600)
def test_every_copy_has_the_items_that_its_key_may_read(
    node: Node,
    own: Installation,
    beside: Services,
    line: Proxy,
    behind: Service,
    seed: int,
    report: Callable[[str], None],
) -> None:
    world, chance, kills = World(behind, own.key), random.Random(seed), 0
    editors = Editors([behind], own.key, world, ACTIONS, seed)
    audience = Audience([behind], own, readers(beside, world), seed, FEEDS_EACH)
    plan = either(by_seed(seed, FEED_FAULTS, asks_for_changes), by_seed(seed, CUTS))
    with line.under(plan), audience.running(), editors.running():
        while not editors.is_over:
            editors.await_more("actions", BETWEEN, MAX_ACTION_SECONDS)
            kills += 1
            if kills % 3 == 2:
                node.kill()
                node.start()
            else:
                behind.kill(chance.choice(sorted(behind.workers())))
    deviations = audience.deviations()
    report(f"editors: {words(editors.counts())}; {audience.figures()}; {kills} kills; {words(line.counts)}")
    assert deviations == {}
    assert all(line.counts[each.name] for each in FEED_FAULTS)

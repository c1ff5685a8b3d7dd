"""Clients that follow the changes of a cluster end with the items that their keys may read, also if a node was down."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from app.wiring import build_services
from proofs.audience import Audience, readers, words
from proofs.cluster import Cluster
from proofs.conftest import Installation, install
from proofs.editors import Editors, World
from proofs.service import Service

ACTIONS = int(os.environ.get("DREAMSCRIPT_PROOF_ACTIONS", "60"))
FEEDS_EACH = 4 if ACTIONS >= 1000 else 1
# The longest time for a third of the actions.
MAX_ACTION_SECONDS = 1800.0


@pytest.fixture
def installation(cluster: Cluster) -> Installation:
    """A new installation on the cluster."""
    return install(cluster.members[0].url, f"t{secrets.token_hex(4)}")


@pytest.fixture
def hosts(cluster: Cluster, installation: Installation) -> Iterator[list[Service]]:
    """Three services; each uses a node of its own."""
    services: list[Service] = []
    with ExitStack() as running:
        for member in cluster.members:
            services.append(Service(installation.environ(member.url, DREAMSCRIPT_WORKERS="1")))
            running.enter_context(services[-1])
        yield services


@pytest.mark.timeout(3600)
def test_every_copy_is_complete_after_a_node_was_stopped_and_started(
    cluster: Cluster, hosts: list[Service], installation: Installation, seed: int, report: Callable[[str], None]
) -> None:
    """Clients write and follow at every host; the database of the third one is down for a while."""
    with closing(build_services(installation.settings)) as services:
        world = World(hosts[0], installation.key)
        audience = Audience(hosts, installation, readers(services, world), seed, FEEDS_EACH)
    editors, node = Editors(hosts, installation.key, world, ACTIONS, seed), cluster.members[2]
    with audience.running(), editors.running():
        editors.await_more("actions", ACTIONS // 3, MAX_ACTION_SECONDS)
        node.kill()
        try:
            editors.await_more("actions", ACTIONS // 3, MAX_ACTION_SECONDS)
        finally:
            node.restart()
        editors.await_more("actions", ACTIONS, MAX_ACTION_SECONDS)
    deviations = audience.deviations()
    report(f"editors: {words(editors.counts())}; {audience.figures()}")
    assert deviations == {}
    assert editors.counts()["503"] > 0

"""On a cluster of three nodes, every creation of a new installation is 201, however many arrive at once."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle

import pytest

from proofs.cluster import Cluster
from proofs.conftest import Installation, install
from tests.server.live import Live

CREATIONS = int(os.environ.get("DREAMSCRIPT_PROOF_CREATIONS", "100"))
AT_ONCE = 25
# A run of the suite shares its machine with others, and these tests are about outcomes, not about speed.
DEADLINE = os.environ.get("DREAMSCRIPT_PROOF_DEADLINE", "20")


@pytest.fixture
def installation(cluster: Cluster) -> Installation:
    """A new installation, without any claim of ids."""
    return install(cluster.members[0].url, f"t{secrets.token_hex(4)}")


@pytest.fixture
def hosts(cluster: Cluster, installation: Installation) -> Iterator[list[Live]]:
    """Three services; each uses a node of its own."""
    with ExitStack() as running:
        yield [
            running.enter_context(
                Live("serve", installation.environ(member.url, DREAMSCRIPT_DEADLINE=DEADLINE, DREAMSCRIPT_WORKERS="1"))
            )
            for member in cluster.members
        ]


def create(hosts: list[Live], key: str) -> Counter[str]:
    """Create CREATIONS documents, AT_ONCE at once, in turn on each host; count the answers, and check their ids."""

    def post(host: Live) -> tuple[int, dict[str, object]]:
        return host.request("POST", "/documents", key, {"title": "New"})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        turns = cycle(hosts)
        answers = list(pool.map(post, [next(turns) for _ in range(CREATIONS)]))
    ids = [body["id"] for status, body in answers if status == 201]
    assert len(set(ids)) == len(ids)
    return Counter(str(status) if status == 201 else f"{status} {body['reason']}" for status, body in answers)


def test_creations_at_once_on_three_nodes_are_all_201(
    hosts: list[Live], installation: Installation, report: Callable[[str], None]
) -> None:
    outcomes = create(hosts, installation.key)
    report(f"three nodes, {AT_ONCE} at once: {dict(outcomes)}")
    assert outcomes == {"201": CREATIONS}


def test_creations_at_once_with_one_node_down_are_all_201(
    cluster: Cluster, hosts: list[Live], installation: Installation, report: Callable[[str], None]
) -> None:
    cluster.members[2].kill()
    try:
        outcomes = create(hosts[:2], installation.key)
    finally:
        cluster.members[2].restart()
    report(f"two of three nodes, {AT_ONCE} at once: {dict(outcomes)}")
    assert outcomes == {"201": CREATIONS}

"""A database made again, or put back from a copy of its files, lets followers begin again and end with equal copies."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.couch.connection import Connection
from app.local_couchdb.wire import request as ask
from app.wiring import build_services
from couchapp import deployment, tree
from proofs import streamers
from proofs.audience import Audience, readers
from proofs.conftest import Installation, install
from proofs.editors import Editors, World
from proofs.node import Node
from proofs.service import Service
from tests.server.live import command

# Times that each follower acts before and after, and the actions of editors.
ROUNDS, ACTIONS = 5, 40
# Kinds of feeds for each key, of four.
FEEDS_EACH = 2
# The longest time until the editors have acted.
MAX_ACTION_SECONDS = 600.0
# Where nothing is written, silence alone cuts the streams.
MAX_SILENCE_SECONDS = 2.0


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamers, "MAX_SILENCE_SECONDS", MAX_SILENCE_SECONDS)


@pytest.fixture
def own(node: Node) -> Installation:
    """An installation on a server whose files can be put back."""
    return install(node.url, f"t{secrets.token_hex(4)}")


@pytest.fixture
def hosts(own: Installation) -> Iterator[list[Service]]:
    """The service, which a test may replace."""
    hosts = [Service(own.environ())]
    yield hosts
    hosts[0].__exit__()


@pytest.fixture
def world(hosts: list[Service], own: Installation) -> World:
    """Some items."""
    return World(hosts[0], own.key)


@pytest.fixture
def audience(hosts: list[Service], own: Installation, world: World, seed: int) -> Audience:
    """Followers with every sort of key and feed."""
    services = build_services(own.settings)
    audience = Audience(hosts, own, readers(services, world), seed, FEEDS_EACH)
    services.close()
    return audience


def edit(hosts: list[Service], own: Installation, world: World, seed: int) -> None:
    """Let editors act on the items."""
    editors = Editors(hosts, own.key, world, ACTIONS, seed)
    with editors.running():
        editors.await_more("actions", ACTIONS, MAX_ACTION_SECONDS)


def require_equal(audience: Audience, report: Callable[[str], None]) -> None:
    """Fail unless each follower has begun again, and its copy has the items that its key may read."""
    deviations = audience.deviations()
    report(audience.figures())
    assert deviations == {}
    assert [each.name for each in audience.followers.values() if not each.answered["gone"]] == []


def test_after_databases_were_made_again_followers_begin_again(
    hosts: list[Service],
    own: Installation,
    audience: Audience,
    seed: int,
    report: Callable[[str], None],
) -> None:
    with audience.running():
        audience.await_rounds(ROUNDS)
        for name in ("documents", "projects"):
            assert ask(own.url, "DELETE", f"/{own.prefix}-{name}")[0] in (200, 202)
        connection = Connection(own.url, timeout=60)
        deployment.deploy(connection, own.prefix, tree.load(), report=lambda _: None)
        connection.close()
        edit(hosts, own, World(hosts[0], own.key), seed)
        audience.await_rounds(ROUNDS)
    require_equal(audience, report)


def test_after_files_were_put_back_followers_begin_again(
    node: Node,
    hosts: list[Service],
    own: Installation,
    world: World,
    audience: Audience,
    seed: int,
    tmp_path: Path,
    report: Callable[[str], None],
) -> None:
    edit(hosts, own, world, seed)
    node.kill()
    node.back_up(tmp_path / "backup")
    node.start()
    with audience.running():
        edit(hosts, own, world, seed + 1)
        audience.await_rounds(ROUNDS)
        hosts[0].__exit__()
        node.kill()
        node.put_back(tmp_path / "backup")
        node.start()
        assert command("feeds", "renew", environ=own.environ()).returncode == 0
        hosts[0] = Service(own.environ())
        edit(hosts, own, world, seed + 2)
        audience.await_rounds(ROUNDS)
    require_equal(audience, report)

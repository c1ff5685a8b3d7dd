"""When the database hangs or is killed, no acknowledged write is lost and the service recovers by itself."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator

import pytest

from proofs.accounts import account, figures, require_answers
from proofs.campaign import CLIENTS, Campaign
from proofs.conftest import Installation, install
from proofs.node import Node
from proofs.service import RECOVERY_SECONDS, Service

# Acknowledged documents before and after each fault, and failures to wait for.
ENOUGH, FAILURES = 50, CLIENTS


@pytest.fixture
def own(node: Node) -> Installation:
    """An installation on it for each test."""
    return install(node.url, f"t{secrets.token_hex(4)}")


@pytest.fixture
def direct(own: Installation) -> Iterator[Service]:
    """A service that reaches it without a proxy."""
    with Service(own.environ()) as running:
        yield running


def success(campaign: Campaign, started: float) -> float:
    """Return the seconds from ``started`` until the next document was acknowledged, at most RECOVERY_SECONDS."""
    campaign.await_more("201", 1, RECOVERY_SECONDS)
    return time.monotonic() - started


def test_a_hanging_database_is_503_in_time_and_loses_nothing(
    node: Node, own: Installation, direct: Service, seed: int, rounds: int, report: Callable[[str], None]
) -> None:
    campaign, seconds = Campaign.of(direct, own.key, seed), []
    with campaign.running():
        for _ in range(rounds):
            campaign.await_more("201", ENOUGH)
            with node.paused():
                campaign.await_more("503", FAILURES)
            seconds.append(success(campaign, time.monotonic()))
        campaign.await_more("201", ENOUGH)
    result = account(campaign, direct, own)
    report(f"paused {rounds} times: {figures(campaign, result)}; first success after {max(seconds):.2f} s at most")
    require_answers(campaign)
    result.require_sound()


@pytest.mark.couchdb
def test_a_killed_database_loses_no_acknowledged_write(
    node: Node, own: Installation, direct: Service, seed: int, rounds: int, report: Callable[[str], None]
) -> None:
    campaign, seconds = Campaign.of(direct, own.key, seed), []
    with campaign.running():
        for _ in range(rounds):
            campaign.await_more("201", ENOUGH)
            node.kill()
            campaign.await_more("503", FAILURES)
            node.start()
            seconds.append(success(campaign, time.monotonic()))
        campaign.await_more("201", ENOUGH)
    result = account(campaign, direct, own)
    report(f"killed {rounds} times: {figures(campaign, result)}; first success after {max(seconds):.2f} s at most")
    require_answers(campaign)
    result.require_sound()

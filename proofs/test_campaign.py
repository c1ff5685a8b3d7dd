"""Every document that clients want is there once, exactly so, whatever is cut and whichever worker is killed."""

from __future__ import annotations

import random
from collections.abc import Callable

from proofs.accounts import account, figures, require_answers
from proofs.campaign import Campaign
from proofs.conftest import Installation
from proofs.faults import CUT_AFTER, CUT_BEFORE, CUT_WITHIN
from proofs.proxy import Proxy, by_seed, writes
from proofs.service import Service

CREATIONS = 200
# Documents that are acknowledged between two kills of a worker.
BETWEEN = 50
WEIGHTS = {CUT_AFTER: 0.16, CUT_WITHIN: 0.04, CUT_BEFORE: 0.02}


def test_what_is_acknowledged_is_there_whatever_is_cut_and_whichever_worker_is_killed(
    proxy: Proxy, service: Service, installation: Installation, seed: int, rounds: int, report: Callable[[str], None]
) -> None:
    rng, kills = random.Random(seed), 0
    count = CREATIONS * rounds
    campaign = Campaign.of(service, installation.key, seed, count=count, idempotent=True)
    with proxy.under(by_seed(seed, WEIGHTS, writes)), campaign.running():
        while not campaign.is_over:
            campaign.await_more("201", BETWEEN)
            service.kill(rng.choice(sorted(service.workers())))
            kills += 1
    found = account(campaign, service, installation)
    cut = {fault.name: proxy.counts[fault.name] for fault in WEIGHTS}
    report(f"{figures(campaign, found)}; cut: {cut}; {kills} workers killed")
    require_answers(campaign)
    found.require_sound()
    assert min(cut.values()) > 0
    assert kills > 0
    assert found.unacknowledged == []
    for creation in [c for c in campaign.creations if c.acknowledged][:: 10 * rounds]:
        [reply, *_] = creation.acknowledged
        assert service.ask("GET", f"/documents/{reply.json['id']}", installation.key).body == reply.body

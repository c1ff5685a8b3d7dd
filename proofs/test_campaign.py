"""Each acknowledged document is stored exactly once while connections are cut and workers are killed."""

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
# Acknowledged documents between two kills of a worker.
BETWEEN = 40
WEIGHTS = {CUT_AFTER: 0.16, CUT_WITHIN: 0.04, CUT_BEFORE: 0.02}


def test_acknowledged_documents_are_stored_once_during_cuts_and_kills(
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
    result = account(campaign, service, installation)
    cut = {fault.name: proxy.counts[fault.name] for fault in WEIGHTS}
    report(f"{figures(campaign, result)}; cut: {cut}; {kills} workers killed")
    require_answers(campaign)
    result.require_sound()
    assert min(cut.values()) > 0
    assert kills > 0
    assert result.unacknowledged == []
    for creation in [c for c in campaign.creations if c.acknowledged][:: 10 * rounds]:
        [reply, *_] = creation.acknowledged
        assert service.answer("GET", f"/documents/{reply.json['id']}", installation.key).body == reply.body

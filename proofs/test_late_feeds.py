"""No client of a stream keeps an older state, even if the service process learns of each change later than the client.

The feed that wakes the clients is late, so a client often reads a change before the process reports an older state.
With DREAMSCRIPT_PROOF_ACTIONS, as `make prove-changes` has it, this is the proof at full size.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from app.services import Services
from proofs.audience import Audience, Reader, readers, words
from proofs.conftest import Installation
from proofs.editors import Editors, World
from proofs.feed_faults import LATE, asks_for_changes
from proofs.proxy import Proxy, Request, by_seed
from proofs.service import Service
from proofs.streamers import Streamer, TicketHolder

ACTIONS = int(os.environ.get("DREAMSCRIPT_PROOF_ACTIONS", "300"))
# Few documents, so that each is often edited shortly before its deletion.
RECENT_DOCUMENTS = 12
FEEDS = (Streamer, TicketHolder)
# The longest time for all actions.
MAX_ACTION_SECONDS = 1800.0


def awaits_changes(request: Request) -> bool:
    """Return whether a request waits for changes, as that of a process does for its clients."""
    return asks_for_changes(request) and "feed=longpoll" in request.target


@pytest.mark.timeout(3600)
def test_no_client_keeps_a_state_from_before_its_poll(
    installation: Installation,
    services: Services,
    service: Service,
    proxy: Proxy,
    seed: int,
    report: Callable[[str], None],
) -> None:
    world = World(service, installation.key, RECENT_DOCUMENTS)
    editors = Editors([service], installation.key, world, ACTIONS, seed)
    everybody = [*readers(services, world), Reader("everything again", installation.key, {})]
    audience = Audience([service], installation, everybody, seed, len(FEEDS), FEEDS)
    with proxy.under(by_seed(seed, {LATE: 1.0}, awaits_changes)), audience.running(), editors.running():
        editors.await_more("actions", ACTIONS, MAX_ACTION_SECONDS)
    deviations = audience.deviations()
    report(f"editors: {words(editors.counts())}; {audience.figures()}; {words(proxy.counts)}")
    assert deviations == {}
    assert proxy.counts[LATE.name] > 0

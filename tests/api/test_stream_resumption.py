"""A client of a stream ends with exactly the items that its key may read, wherever it is cut off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.domain.access import Access, reach
from app.domain.changes import batch, subscription
from app.domain.changes.query import ChangesQuery
from tests.api.feed_simulation import HOME, Simulation
from tests.api.stream_client import Copy, StreamClient

pytestmark = pytest.mark.nodatabase

SCOPES = frozenset({"documents:read"})
UNLIMITED = Access(1, "p", SCOPES)
LIMITED = Access(1, "p", SCOPES, reach=reach((HOME,), None))
SIZES = (8, 100)
# A limited key needs more runs, since only a few of them have a departure at the wrong moment.
SEEDS = {UNLIMITED: range(10), LIMITED: range(20, 70)}
STEPS, MAX_CLIENTS = 15, 3
# The shares of steps that connect a client, and after which a client takes its events.
CONNECTIONS, TAKES = 0.25, 0.5
# About two documents in a batch, and one, a few or many batches in a portion.
BATCH_CHARACTERS, PORTION_BYTES = 60, (60, 200, 2**18)


@pytest.mark.parametrize("access", [UNLIMITED, LIMITED], ids=["unlimited", "limited"])
@pytest.mark.parametrize("rewinds", [False, True], ids=["straight", "with rewinds"])
@pytest.mark.parametrize("size", SIZES, ids="{} documents".format)
def test_a_client_that_is_cut_off_after_any_event_continues_to_the_items_of_its_key(
    monkeypatch: pytest.MonkeyPatch, access: Access, size: int, *, rewinds: bool
) -> None:
    monkeypatch.setattr(batch, "BATCH_CHARACTERS", BATCH_CHARACTERS)
    for seed in SEEDS[access]:
        monkeypatch.setattr(subscription, "PORTION_BYTES", PORTION_BYTES[seed % len(PORTION_BYTES)])
        simulation = Simulation(seed, size, rewinds=rewinds)
        deviations = list(run(simulation, access))
        assert not deviations, "\n".join([*simulation.log, f"seed {seed}:", *deviations])


def run(simulation: Simulation, access: Access) -> Iterator[str]:
    """Yield the deviations of the clients that connect while a simulation runs."""
    begin = simulation.changes.begin(access, ChangesQuery(limit=1, from_now=True))
    query, clients = ChangesQuery(limit=1000, since=begin), list[StreamClient]()
    simulation.is_running = True
    for _ in range(STEPS):
        simulation.step()
        if len(clients) < MAX_CLIENTS and simulation.random.random() < CONNECTIONS:
            clients.append(StreamClient(simulation.changes, access, query))
        for client in clients:
            if simulation.random.random() < TAKES:
                client.take()
    simulation.end()
    items = readable(simulation, access)
    for number, client in enumerate(clients):
        client.take()
        yield from deviations(f"client {number}", client.copy, items)
        for events, copy in enumerate(client.continued(), 1):
            yield from deviations(f"client {number}, cut off after event {events}", copy, items)


def readable(simulation: Simulation, access: Access) -> Copy:
    """Return the ETags of the documents that a key may read."""
    items = simulation.database.items.items()
    return {
        each: f'"{item.revision}"'
        for each, item in items
        if not item.is_deleted and access.admits(each, item.project_id)
    }


def deviations(client: str, copy: Copy, items: Copy) -> Iterator[str]:
    """Yield the differences between the copy of a client and the items that its key may read."""
    if ghosts := copy.keys() - items.keys():
        yield f"{client}: ghosts {sorted(ghosts)}"
    if missing := items.keys() - copy.keys():
        yield f"{client}: missing {sorted(missing)}"
    if stale := {each: (copy[each], items[each]) for each in copy.keys() & items.keys() if copy[each] != items[each]}:
        yield f"{client}: stale {stale}"

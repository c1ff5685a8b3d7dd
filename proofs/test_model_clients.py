"""All items are exactly as their clients recorded them after writes during faults and kills."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from app.local_couchdb.process import poll
from app.local_couchdb.wire import request as ask
from proofs import actions, batches, shared_project_actions
from proofs.accounts import stored
from proofs.clients import Clients
from proofs.conftest import Installation
from proofs.faults import CORRUPT, CUT_AFTER, CUT_BEFORE, CUT_HEADERS, CUT_WITHIN, HANG, RESET_BEFORE, delay
from proofs.ledger import DOCUMENTS, PROJECTS, Difference, Item
from proofs.model_client import Action, ModelClient
from proofs.proxy import Proxy, by_seed
from proofs.service import Service
from proofs.shared import SharedProjects
from tests.waiting import MAX_WAIT_SECONDS

MODEL_CLIENTS = 5
# The actions of a round, in random order.
ACTIONS: list[Action] = [
    *(actions.create, actions.patch, actions.replace, actions.replace_stale, actions.move, actions.move_into_nothing),
    *(actions.copy, actions.delete, actions.make_project, actions.change_project, actions.delete_project),
    *(batches.documents_batch, batches.projects_batch),
    *[shared_project_actions.fill] * 6,
    *[shared_project_actions.replace_project] * 4,
]
# Actions between two kills of a worker.
BETWEEN = 15
CUTS = {CUT_AFTER: 0.08, CUT_WITHIN: 0.02, CUT_HEADERS: 0.01, CUT_BEFORE: 0.04, RESET_BEFORE: 0.02}
GARBAGE = {fault: 0.03 / len(CORRUPT) for fault in CORRUPT}
LATE = {delay(0.1): 0.02, HANG: 0.001}
# Items on the pages that are walked beside the largest ones.
FEW = 7


def everything(service: Service, installation: Installation) -> dict[str, list[dict[str, Any]]]:
    """Return all served items, when the service shows what the database stores."""

    def settled() -> dict[str, list[dict[str, Any]]] | None:
        served = {kind: stored(service, installation.key, kind) for kind in (DOCUMENTS, PROJECTS)}
        for kind, items in served.items():
            name = kind.removesuffix("s")
            path = f"/{installation.prefix}-{kind}/_all_docs?startkey=%22{name}%22"
            rows = ask(installation.url, path=path, timeout=MAX_WAIT_SECONDS)[1]["rows"]
            if [row["id"] for row in rows] != [f"{name}:{item['id']:016d}" for item in items]:
                return None
        return served

    served = poll(settled, MAX_WAIT_SECONDS)
    assert served, "the service does not show the stored items"
    return served


def require_reads_agree(service: Service, key: str, served: dict[str, list[dict[str, Any]]]) -> None:
    """Fail unless small pages, the pages of each project and single reads show the ``served`` items."""
    for kind, items in served.items():
        assert stored(service, key, kind, FEW) == items
        for item in items:
            assert service.answer("GET", f"/{kind}/{item['id']}", key).json == item
    for project in served[PROJECTS]:
        inside = [item for item in served[DOCUMENTS] if item.get("project_id") == project["id"]]
        assert stored(service, key, f"projects/{project['id']}/documents", FEW) == inside


def require_tags(service: Service, key: str, client: ModelClient) -> None:
    """Fail unless each item of a client has its recorded tag, and the deleted items are absent."""
    for kind in (DOCUMENTS, PROJECTS):
        for item in client.ledger.of(kind):
            assert Item.served(kind, service.answer("GET", item.path, key)) == item
        for public_id in client.ledger.gone[kind]:
            assert service.answer("GET", f"/{kind}/{public_id}", key).status == 404


def test_all_items_are_as_their_clients_recorded_them_after_faults_and_kills(
    proxy: Proxy, service: Service, installation: Installation, seed: int, rounds: int, report: Callable[[str], None]
) -> None:
    rng, kills, key = random.Random(seed), 0, installation.key
    first = Item.served(PROJECTS, service.answer("POST", "/projects", key, {"name": "shared"}))
    shared = SharedProjects(first)
    dealt = [action for _ in range(rounds) for action in rng.sample(ACTIONS, len(ACTIONS))]
    model_clients = [
        ModelClient(service, key, f"client {n}", random.Random(f"{seed}-{n}"), shared, dealt[n::MODEL_CLIENTS])
        for n in range(MODEL_CLIENTS)
    ]
    clients = Clients(model_clients)
    with proxy.under(by_seed(seed, CUTS | GARBAGE | LATE)), clients.running():
        while not clients.is_over:
            clients.await_more("actions", BETWEEN)
            service.kill(rng.choice(sorted(service.workers())))
            kills += 1
    served = everything(service, installation)
    expected = [item for client in model_clients for kind in (DOCUMENTS, PROJECTS) for item in client.ledger.of(kind)]
    doubted = [each for client in model_clients for each in client.ledger.doubted]
    difference = Difference.between([*expected, *shared.alive], served, doubted)
    counts = ", ".join(f"{number} x {what}" for what, number in sorted(clients.counts().items()))
    failed = sum(proxy.counts[fault.name] for fault in CUTS | GARBAGE | LATE)
    report(
        f"{counts}; {failed} of {proxy.counts.total()} exchanges failed, {kills} workers killed; slowest answer "
        f"{max(client.requests.slowest for client in model_clients):.2f} s; {len(expected)} items, "
        f"{clients.counts()['unknown']} unknown outcomes, {difference}"
    )
    difference.require_none()
    require_reads_agree(service, key, served)
    for client in model_clients:
        require_tags(service, key, client)
        assert client.requests.faults == []
    assert min(proxy.counts[fault.name] for fault in CUTS) > 0
    assert kills > 0

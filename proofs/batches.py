"""The actions of a model client on many of its items in one request, each with a known outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import OutcomeUnknown
from proofs.actions import require_there
from proofs.ledger import DOCUMENTS, PROJECTS, Item
from proofs.model_client import MORE, NAMES, ModelClient, without_none


@dataclass(frozen=True)
class Step:
    """An operation, its expected status, and the item after it, None if it changes nothing."""

    operation: Mapping[str, Any]
    status: int
    value: Mapping[str, Any] | None = None


def create(value: Mapping[str, Any], status: int = 201) -> Step:
    """Return the creation of an item."""
    return Step({"op": "create", "value": value}, status, value if status == 201 else None)


def patch(item: Item, changed: Mapping[str, Any], tag: str | None = None, status: int = 200) -> Step:
    """Return a patch of an item."""
    operation = without_none({"op": "patch", "id": item.public_id, "if_match": tag}) | {"value": changed}
    return Step(operation, status, without_none({**item.value, **changed}) if status == 200 else None)


def replace(item: Item, value: Mapping[str, Any]) -> Step:
    """Return the replacement of an item."""
    return Step({"op": "replace", "id": item.public_id, "value": value}, 200, value)


def delete(item: Item, status: int = 204) -> Step:
    """Return the deletion of an item."""
    return Step({"op": "delete", "id": item.public_id}, status)


def send(client: ModelClient, kind: str, steps: list[Step]) -> None:
    """Send a batch, check each outcome, and record the items."""
    body = {"operations": [step.operation for step in steps]}
    outcomes = client.requests.repeated("POST", f"/{kind}/batch", body, expected=(200,)).json["outcomes"]
    for step, outcome in zip(steps, outcomes, strict=True):
        if outcome.get("error") == OutcomeUnknown.code:
            client.answered["unknown"] += 1
            continue
        assert outcome["status"] == step.status, outcomes
        known = client.ledger.get(kind, outcome.get("id", 0))
        if step.status == 201:
            assert known is None, f"an id was given twice: {outcome}"
        if step.value is not None:
            client.ledger.keep(Item(kind, outcome["id"], step.value, outcome["etag"]))
        elif step.status == 204 and known is not None:
            client.ledger.drop(known)
    for step, outcome in zip(steps, outcomes, strict=True):
        if outcome.get("error") == OutcomeUnknown.code:
            resolve(client, kind, step)


def resolve(client: ModelClient, kind: str, step: Step) -> None:
    """Resolve a step of unknown outcome by reading; a create may or may not be stored."""
    if step.operation["op"] == "create":
        assert step.value is not None
        client.ledger.doubt(kind, step.value)
    elif item := client.ledger.get(kind, step.operation["id"]):
        client.settle(item, item.value if step.value is None and step.status != 204 else step.value, None)


def documents_batch(client: ModelClient) -> None:
    """Send every kind of operation on documents, two on one of them, and some that must be refused."""
    client.document()
    twice, replaced, deleted, stale = client.random.sample(client.ledger.of(DOCUMENTS), 4)
    renamed = {NAMES[DOCUMENTS]: client.value()[NAMES[DOCUMENTS]]}
    once = Item(DOCUMENTS, twice.public_id, {**twice.value, **renamed}, twice.tag)
    steps = [
        create(client.value()),
        patch(twice, renamed, twice.tag),
        create(client.value(project_id=client.home())),
        patch(once, {MORE[DOCUMENTS]: client.random.choice((None, "twice")), "project_id": client.home()}),
        replace(replaced, client.value(project_id=client.home())),
        delete(deleted),
        patch(stale, client.value(), twice.tag, status=412),
    ]
    if gone := client.ledger.gone[PROJECTS]:
        steps.append(create(client.value(project_id=client.random.choice(gone)), status=400))
    if gone := client.ledger.gone[DOCUMENTS]:
        steps.append(delete(Item(DOCUMENTS, client.random.choice(gone), {}, ""), status=404))
    send(client, DOCUMENTS, steps)
    # Resolving an unknown outcome may have given it another tag.
    if item := client.ledger.get(DOCUMENTS, stale.public_id):
        require_there(client, item)


def projects_batch(client: ModelClient) -> None:
    """Send every kind of operation on projects; a project with documents must stay."""
    full = client.project()
    client.make(DOCUMENTS, client.value(project_id=full.public_id))
    empty, patched = (client.make(PROJECTS, client.value(PROJECTS)) for _ in ("empty", "patched"))
    steps = [
        create(client.value(PROJECTS)),
        delete(empty),
        patch(patched, {MORE[PROJECTS]: "patched"}, patched.tag),
        delete(full, status=409),
        patch(full, {MORE[PROJECTS]: "full"}),
    ]
    send(client, PROJECTS, steps)

"""The ledger and its client detect every error in a client's own items."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from proofs.ledger import DOCUMENTS, PROJECTS, Difference, Item
from proofs.model_client import ModelClient
from proofs.scripted import ABSENT, DOUBTFUL, FAILED, Scripted, error, reply, shown
from proofs.service import ALLOWANCE_SECONDS, DEADLINE_SECONDS, Reply, Service
from proofs.shared import SharedProjects

pytestmark = pytest.mark.nodatabase

HOME = Item(PROJECTS, 1, {"name": "home"}, '"1-a"')
BEFORE, AFTER = {"title": "before"}, {"title": "after"}
ITEM = Item(DOCUMENTS, 1, BEFORE, '"1-a"')
INSIDE = Item(DOCUMENTS, 2, {"title": "inside", "project_id": 1}, '"1-b"')
SERVED = {DOCUMENTS: [ITEM.json, INSIDE.json], PROJECTS: [HOME.json]}


def fenced(value: dict[str, Any], tag: str) -> tuple[Reply, Reply]:
    """Return the answers to a patch without changes and to its repetition."""
    return shown(value, tag), shown(value, tag, Idempotency_Replayed="true")


def model_client(*replies: Reply | None) -> ModelClient:
    """Return a client with one document whose service gives these answers."""
    service = cast(Service, Scripted(*replies))
    client = ModelClient(service, "key", "client", random.Random(1), SharedProjects(HOME), ())
    client.ledger.keep(ITEM)
    return client


def test_all_is_well() -> None:
    Difference.between([ITEM, INSIDE, HOME], SERVED).require_none()


@pytest.mark.parametrize(
    ("expected", "served", "name"),
    [
        ([ITEM, INSIDE, HOME], {**SERVED, DOCUMENTS: [ITEM.json]}, "lost"),
        ([ITEM, HOME], SERVED, "foreign"),
        ([ITEM, INSIDE, HOME], {**SERVED, DOCUMENTS: [{"id": 1, **AFTER}, INSIDE.json]}, "altered"),
        ([ITEM, INSIDE, HOME], {**SERVED, DOCUMENTS: [ITEM.json, INSIDE.json, INSIDE.json]}, "repeated"),
        ([ITEM, INSIDE], {**SERVED, PROJECTS: []}, "orphaned"),
    ],
)
def test_a_wrong_served_item_is_detected(
    expected: list[Item], served: dict[str, list[dict[str, Any]]], name: str
) -> None:
    difference = Difference.between(expected, served)
    assert getattr(difference, name) != []
    with pytest.raises(AssertionError):
        difference.require_none()


@pytest.mark.parametrize("unknown", [None, DOUBTFUL])
def test_an_unknown_outcome_is_resolved_by_the_stored_item(unknown: Reply | None) -> None:
    client = model_client(unknown, shown(BEFORE, "1-a"), *fenced(BEFORE, "2-c"))
    assert client.replace(ITEM, AFTER) == Item(DOCUMENTS, 1, BEFORE, '"2-c"')
    client = model_client(unknown, shown(AFTER, "2-b"), *fenced(AFTER, "3-c"))
    assert client.replace(ITEM, AFTER) == Item(DOCUMENTS, 1, AFTER, '"3-c"')
    client = model_client(unknown, ABSENT)
    assert client.delete(ITEM) is None
    assert client.ledger.gone[DOCUMENTS] == [1]


def test_a_write_that_arrives_after_the_first_read_is_recognised() -> None:
    late = error(412, "precondition_failed")
    again = reply(412, late.json, Idempotency_Replayed="true")
    client = model_client(DOUBTFUL, shown(BEFORE, "1-a"), late, again, shown(AFTER, "2-b"), *fenced(AFTER, "3-c"))
    assert client.replace(ITEM, AFTER) == Item(DOCUMENTS, 1, AFTER, '"3-c"')


@pytest.mark.parametrize(
    ("replies", "action"),
    [
        # The answer shows another value.
        ((shown({"title": "other"}, "2-b"),), lambda client: client.replace(ITEM, AFTER)),
        # Refused, although it is stored.
        ((FAILED, shown(AFTER, "2-b")), lambda client: client.replace(ITEM, AFTER)),
        ((FAILED, ABSENT), lambda client: client.delete(ITEM)),
        # The stored item is neither the old nor the new one, or has an unknown revision.
        ((DOUBTFUL, shown({"title": "other"}, "2-b")), lambda client: client.replace(ITEM, AFTER)),
        ((DOUBTFUL, shown(BEFORE, "2-b")), lambda client: client.replace(ITEM, AFTER)),
        ((DOUBTFUL, ABSENT), lambda client: client.replace(ITEM, AFTER)),
        # The item exists although it was deleted.
        ((reply(204, None), shown(BEFORE, "1-a")), lambda client: client.delete(ITEM)),
        # Refused without a reason.
        ((error(412, "precondition_failed"),), lambda client: client.replace(ITEM, AFTER)),
        ((error(500, "internal_server_error"),), lambda client: client.replace(ITEM, AFTER)),
        # The repetition has another answer, or was carried out twice.
        ((shown(AFTER, "2-b"), shown(AFTER, "3-c", Idempotency_Replayed="true")), lambda a: a.patch(ITEM, AFTER)),
        ((shown(AFTER, "2-b"), shown(AFTER, "2-b", Idempotency_Replayed="false")), lambda a: a.patch(ITEM, AFTER)),
    ],
)
def test_a_wrong_answer_is_detected(replies: tuple[Reply, ...], action: Callable[[ModelClient], object]) -> None:
    with pytest.raises(AssertionError):
        action(model_client(*replies))


def test_a_late_or_undocumented_answer_is_detected() -> None:
    late, bare = (
        replace(shown(BEFORE, "1-a"), seconds=DEADLINE_SECONDS + ALLOWANCE_SECONDS + 1),
        reply(503, {"error": "unavailable"}),
    )
    client = model_client(late, bare, shown(BEFORE, "1-a"))
    client.requests.read(ITEM.path)
    client.requests.read(ITEM.path)
    assert len(client.requests.faults) == 2

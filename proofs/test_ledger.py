"""The ledger and what fills it: whatever could go wrong with a client's own items is seen."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from proofs.ledger import DOCUMENTS, PROJECTS, Difference, Item
from proofs.model_client import Owner
from proofs.scripted import ABSENT, DOUBTFUL, FAILED, Scripted, error, reply, shown
from proofs.service import DEADLINE, Reply, Service
from proofs.shared import SharedProjects

pytestmark = pytest.mark.nodatabase

HOME = Item(PROJECTS, 1, {"name": "home"}, '"1-a"')
BEFORE, AFTER = {"title": "before"}, {"title": "after"}
ITEM = Item(DOCUMENTS, 1, BEFORE, '"1-a"')
INSIDE = Item(DOCUMENTS, 2, {"title": "inside", "project_id": 1}, '"1-b"')
SERVED = {DOCUMENTS: [ITEM.json, INSIDE.json], PROJECTS: [HOME.json]}


def fenced(value: dict[str, Any], tag: str) -> tuple[Reply, Reply]:
    """Return the answers to a patch of nothing and to its repetition."""
    return shown(value, tag), shown(value, tag, Idempotency_Replayed="true")


def owner(*replies: Reply | None) -> Owner:
    """Return an owner of one document, to whom a service answers so."""
    service = cast(Service, Scripted(*replies))
    found = Owner(service, "key", "owner", random.Random(1), SharedProjects(HOME), ())
    found.ledger.keep(ITEM)
    return found


def test_all_is_well() -> None:
    Difference.between([ITEM, INSIDE, HOME], SERVED).require_none()


@pytest.mark.parametrize(
    ("wanted", "served", "name"),
    [
        ([ITEM, INSIDE, HOME], {**SERVED, DOCUMENTS: [ITEM.json]}, "lost"),
        ([ITEM, HOME], SERVED, "foreign"),
        ([ITEM, INSIDE, HOME], {**SERVED, DOCUMENTS: [{"id": 1, **AFTER}, INSIDE.json]}, "altered"),
        ([ITEM, INSIDE, HOME], {**SERVED, DOCUMENTS: [ITEM.json, INSIDE.json, INSIDE.json]}, "repeated"),
        ([ITEM, INSIDE], {**SERVED, PROJECTS: []}, "orphaned"),
    ],
)
def test_what_is_wrong_with_what_is_served_is_seen(
    wanted: list[Item], served: dict[str, list[dict[str, Any]]], name: str
) -> None:
    found = Difference.between(wanted, served)
    assert getattr(found, name) != []
    with pytest.raises(AssertionError):
        found.require_none()


@pytest.mark.parametrize("unknown", [None, DOUBTFUL])
def test_a_write_of_unknown_outcome_is_decided_by_what_is_there(unknown: Reply | None) -> None:
    asked = owner(unknown, shown(BEFORE, "1-a"), *fenced(BEFORE, "2-c"))
    assert asked.replace(ITEM, AFTER) == Item(DOCUMENTS, 1, BEFORE, '"2-c"')
    asked = owner(unknown, shown(AFTER, "2-b"), *fenced(AFTER, "3-c"))
    assert asked.replace(ITEM, AFTER) == Item(DOCUMENTS, 1, AFTER, '"3-c"')
    asked = owner(unknown, ABSENT)
    assert asked.delete(ITEM) is None
    assert asked.ledger.gone[DOCUMENTS] == [1]


def test_what_arrives_after_it_was_looked_for_is_found_as_well() -> None:
    late = error(412, "precondition_failed")
    again = reply(412, late.json, Idempotency_Replayed="true")
    asked = owner(DOUBTFUL, shown(BEFORE, "1-a"), late, again, shown(AFTER, "2-b"), *fenced(AFTER, "3-c"))
    assert asked.replace(ITEM, AFTER) == Item(DOCUMENTS, 1, AFTER, '"3-c"')


@pytest.mark.parametrize(
    ("replies", "act"),
    [
        # It shows something else than what was written.
        ((shown({"title": "other"}, "2-b"),), lambda asked: asked.replace(ITEM, AFTER)),
        # It was said that nothing is stored.
        ((FAILED, shown(AFTER, "2-b")), lambda asked: asked.replace(ITEM, AFTER)),
        ((FAILED, ABSENT), lambda asked: asked.delete(ITEM)),
        # What is there is neither what was nor what was asked for, or was written by nobody.
        ((DOUBTFUL, shown({"title": "other"}, "2-b")), lambda asked: asked.replace(ITEM, AFTER)),
        ((DOUBTFUL, shown(BEFORE, "2-b")), lambda asked: asked.replace(ITEM, AFTER)),
        ((DOUBTFUL, ABSENT), lambda asked: asked.replace(ITEM, AFTER)),
        # It is there though it was deleted.
        ((reply(204, None), shown(BEFORE, "1-a")), lambda asked: asked.delete(ITEM)),
        # Refused without a reason.
        ((error(412, "precondition_failed"),), lambda asked: asked.replace(ITEM, AFTER)),
        ((error(500, "internal_server_error"),), lambda asked: asked.replace(ITEM, AFTER)),
        # Answered otherwise when it was repeated, or carried out twice.
        ((shown(AFTER, "2-b"), shown(AFTER, "3-c", Idempotency_Replayed="true")), lambda a: a.patch(ITEM, AFTER)),
        ((shown(AFTER, "2-b"), shown(AFTER, "2-b", Idempotency_Replayed="false")), lambda a: a.patch(ITEM, AFTER)),
    ],
)
def test_an_answer_that_is_wrong_is_seen(replies: tuple[Reply, ...], act: Callable[[Owner], object]) -> None:
    with pytest.raises(AssertionError):
        act(owner(*replies))


def test_an_answer_that_is_late_or_not_as_documented_is_seen() -> None:
    late, bare = replace(shown(BEFORE, "1-a"), seconds=DEADLINE * 2), reply(503, {"error": "unavailable"})
    asked = owner(late, bare, shown(BEFORE, "1-a"))
    asked.requests.read(ITEM.path)
    asked.requests.read(ITEM.path)
    assert len(asked.requests.faults) == 2

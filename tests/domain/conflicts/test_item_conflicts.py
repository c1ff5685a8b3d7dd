"""Whether an item has an open conflict, and for how long that is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.domain.conflicts.item_conflicts import NO_CONFLICT, ConflictState, ItemConflicts
from app.domain.conflicts.judgement import Judgement, Reason
from app.errors import Unavailable
from app.store.items import StoredItem

pytestmark = pytest.mark.nodatabase

ITEM = StoredItem("document:0000000000000001", "2-b", {"id": 1})
CONFLICTED = replace(ITEM, conflicts=("3-a", "2-c"))
LIVE = ("3-a", "2-c", "2-b")


def conflicts(outcome: Judgement | Exception | None) -> ItemConflicts:
    """Return conflicts that are judged alike, with the live leaves in CouchDB's order."""

    def judge(doc_id: str, live: tuple[str, ...]) -> Judgement | None:
        assert (doc_id, live) == (ITEM.doc_id, LIVE)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    unused: Any = None
    return ItemConflicts(judge, unused, unused)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Judgement(LIVE, (), (), Reason.CLASH), ConflictState(is_open=True, is_final=True)),
        (Judgement(LIVE, (), ()), ConflictState(is_open=False, is_final=False)),
        (Unavailable(), ConflictState(is_open=True, is_final=False)),
        (None, NO_CONFLICT),
    ],
    ids=["a clash", "pending", "the database does not answer", "the leaves have changed"],
)
def test_the_state_of_an_item_with_other_live_leaves(
    outcome: Judgement | Exception | None, state: ConflictState
) -> None:
    assert conflicts(outcome).state(CONFLICTED) == state


def test_an_item_with_one_live_leaf_is_not_judged() -> None:
    assert conflicts(AssertionError()).state(ITEM) == NO_CONFLICT
    assert not conflicts(AssertionError()).is_open(ITEM)


def test_a_write_is_not_accepted_if_the_conflict_cannot_be_judged() -> None:
    with pytest.raises(Unavailable):
        conflicts(Unavailable()).is_open(CONFLICTED)

"""The check of a race detects two winners, and a write that is stored although it was refused."""

from __future__ import annotations

import pytest

from proofs.contest import Contested
from proofs.ledger import DOCUMENTS, Item
from proofs.scripted import DOUBTFUL, FAILED, error, shown
from proofs.service import Reply

pytestmark = pytest.mark.nodatabase

BEFORE, AFTER = {"title": "before"}, {"title": "after"}
ITEM = Item(DOCUMENTS, 1, BEFORE, '"1-a"')
NEXT, LOST = Item(DOCUMENTS, 1, AFTER, '"2-b"'), error(412, "precondition_failed")


@pytest.mark.parametrize(
    ("replies", "stored", "ended"),
    [
        ({"after": shown(AFTER, "2-b"), "other": LOST}, NEXT, "won"),
        ({"after": DOUBTFUL, "other": LOST}, NEXT, "found stored"),
        ({"after": None, "other": LOST}, NEXT, "found stored"),
        ({"after": DOUBTFUL, "other": FAILED}, ITEM, "undone"),
    ],
)
def test_a_race_ends_as_documented(replies: dict[str, Reply | None], stored: Item, ended: str) -> None:
    assert Contested(ITEM, ["before"]).decide(replies, stored) == ended


@pytest.mark.parametrize(
    ("replies", "stored"),
    [
        ({"after": shown(AFTER, "2-b"), "other": shown({"title": "other"}, "3-c")}, NEXT),
        ({"after": FAILED, "other": LOST}, NEXT),
        ({"after": LOST, "other": shown({"title": "other"}, "2-b")}, NEXT),
        ({"after": DOUBTFUL, "other": LOST}, ITEM),
    ],
)
def test_a_wrong_end_of_a_race_is_detected(replies: dict[str, Reply | None], stored: Item) -> None:
    with pytest.raises(AssertionError):
        Contested(ITEM, ["before"]).decide(replies, stored)

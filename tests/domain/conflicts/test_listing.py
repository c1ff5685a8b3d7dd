"""The items of a first sync that are marked as conflicted, by the index of items with several live leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from app.domain.conflicts import listing
from app.domain.conflicts.judgement import Judgement, Reason, Writes
from app.domain.conflicts.listing import ConflictList
from app.domain.resources import DOCUMENT, ResourceType
from app.store import Database, Row
from app.store.items import ItemWrite, WriteId

pytestmark = pytest.mark.nodatabase

CLASHING, MERGEABLE = 2, 3


class Index:
    """The view of items with several live leaves: those with the ids up to 5."""

    def view(self, *_: str, limit: int, **__: Any) -> list[Row]:
        """Return the first rows."""
        return [Row(DOCUMENT.doc_id(number), None, {}) for number in range(1, 6)][:limit]


def judge(_: ResourceType, doc_ids: Sequence[str]) -> Mapping[str, Judgement]:
    merged = Judgement((), (), (), writes=Writes(ItemWrite("a", {}, WriteId())))
    clash = Judgement((), (), (), Reason.CLASH)
    return {each: clash if DOCUMENT.public_id(each) == CLASHING else merged for each in doc_ids}


@pytest.fixture
def conflicts() -> ConflictList:
    return ConflictList({}, {DOCUMENT: cast(Database, Index())}, judge)


def test_items_that_will_be_merged_are_not_in_conflict(conflicts: ConflictList) -> None:
    assert conflicts.conflicted_among(DOCUMENT, [CLASHING, MERGEABLE, 5, 9]) == {CLASHING}


def test_items_after_the_rows_that_were_read_are_presumed_to_be_in_conflict(
    conflicts: ConflictList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_READ_ITEMS", 4)
    assert conflicts.conflicted_among(DOCUMENT, [CLASHING, MERGEABLE, 5, 9]) == {CLASHING, 5, 9}

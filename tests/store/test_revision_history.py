"""The outcome of an earlier run of a write, by the latest revisions of its item."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from app.errors import OutcomeUnknown
from app.store.items import Change, StoredItem, WriteId
from app.store.revision_history import History, Undone, find_change, find_creation, judge_many

pytestmark = pytest.mark.nodatabase

SINCE, EARLIER, LATER = "2026-01-01T00:01", "2026-01-01T00:00", "2026-01-01T00:02"
MINE, OTHER = WriteId(since=SINCE), WriteId()


def item(write_id: WriteId, time: str = LATER, *, deleted: bool = False, project_id: int = 1) -> StoredItem:
    return StoredItem("a", "x", {"updated_at": time, "project_id": project_id}, deleted, write_id.nonce)


def history(*latest: StoredItem | None, first: StoredItem | None = None, is_whole: bool = False) -> History:
    return History(latest, latest[-1] if is_whole else first, is_whole)


OLD = item(OTHER, EARLIER, project_id=2)


@pytest.mark.parametrize(
    "latest",
    [
        [item(MINE), OLD],
        [item(OTHER), item(MINE), OLD],
        [item(OTHER, deleted=True), item(MINE), item(MINE), OLD],
        # It was done again after it was undone.
        [item(MINE), item(MINE.compensation), item(MINE, project_id=3), OLD],
    ],
)
def test_a_change_is_found_by_its_nonce_below_the_changes_of_others(latest: Sequence[StoredItem]) -> None:
    change = find_change(history(*latest), MINE)
    assert change is not None
    assert change.after == item(MINE)
    assert change.before in (OLD, item(MINE.compensation))


@pytest.mark.parametrize("latest", [[OLD, None], [item(OTHER), OLD], [item(MINE.compensation), item(MINE), OLD]])
def test_a_change_is_not_done_if_no_revision_since_then_has_its_nonce_or_it_was_undone(
    latest: Sequence[StoredItem | None],
) -> None:
    assert find_change(history(*latest), MINE) is None


def test_a_change_is_not_done_if_the_whole_history_has_no_such_nonce() -> None:
    assert find_change(history(item(OTHER), is_whole=True), MINE) is None


@pytest.mark.parametrize("latest", [[item(OTHER), None], [item(OTHER), item(OTHER)]])
def test_a_change_is_unknown_if_the_history_does_not_reach_back(latest: Sequence[StoredItem | None]) -> None:
    with pytest.raises(OutcomeUnknown):
        find_change(history(*latest), MINE)


def test_an_item_is_assumed_not_to_have_moved_if_its_former_revision_was_compacted() -> None:
    assert find_change(history(item(MINE), None), MINE) == Change(item(MINE), item(MINE))


def test_a_creation_is_the_first_revision() -> None:
    for latest in ([item(MINE)], [item(OTHER), item(MINE)], [item(OTHER, deleted=True), item(MINE)]):
        assert find_creation(history(*latest, is_whole=True), MINE) == Change(None, item(MINE))
    assert find_creation(history(item(OTHER), first=item(MINE)), MINE) == Change(None, item(MINE))
    assert find_creation(history(item(MINE), None), MINE) == Change(None, item(MINE))
    # A revision on top of a tombstone is a resurrection.
    assert find_creation(history(item(MINE), item(OTHER, deleted=True), first=item(OTHER)), MINE) is None
    assert find_creation(history(item(OTHER), is_whole=True), MINE) is None


def test_a_creation_that_was_undone_has_used_up_its_id() -> None:
    with pytest.raises(Undone):
        find_creation(history(item(MINE.compensation, deleted=True), item(MINE), is_whole=True), MINE)


def test_a_creation_is_unknown_if_its_first_revision_was_compacted() -> None:
    for latest in ([item(OTHER), None], [item(MINE), item(OTHER, deleted=True), None]):
        with pytest.raises(OutcomeUnknown):
            find_creation(history(*latest), MINE)


def test_the_current_revision_decides_which_of_many_writes_are_done() -> None:
    ids = [MINE.part(str(place)) for place in range(3)]
    assert judge_many(history(OLD), ids) == judge_many(history(item(OTHER), OLD), ids) == {}
    results = judge_many(history(item(OTHER), item(ids[0]), OLD), ids)
    assert [type(results[each]) for each in ids] == [OutcomeUnknown] * 3
    results = judge_many(history(item(ids[1]), item(ids[0]), OLD), ids)
    assert isinstance(results[ids[0]], OutcomeUnknown)
    assert results[ids[1]] == Change(item(ids[0]), item(ids[1]))
    assert ids[2] not in results
    results = judge_many(history(item(ids[0].compensation), item(ids[0]), OLD), ids)
    assert [type(each) for each in results.values()] == [Undone]

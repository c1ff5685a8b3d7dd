"""A version goes some time after it was superseded, or when many newer ones were."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.store.leaves import tombstone_nonce
from app.store.superseded import due_versions, may_be_due
from app.store.version import Version
from tests.replication import revision

pytestmark = pytest.mark.nodatabase

ID = "document:0000000000000007"
NEVER = "9999"


def day(number: int) -> str:
    return f"2026-01-{number:02}T12:00:00.000000Z"


def version(
    generation: int, letter: str = "a", *, at: int | None = None, nonce: str = "", parent: str = "a"
) -> Version:
    """Return a version of that day, on top of the generation below; its nonce is its own unless one is given."""
    parents = (revision(generation - 1, parent),) if generation > 1 else ()
    return Version(
        ID,
        revision(generation, letter),
        {},
        updated_at=day(generation if at is None else at),
        parents=parents,
        nonce=nonce or f"{generation}{letter}",
    )


def due(versions: list[Version], limit: int = 100, before: str = "", live: int | None = None) -> list[str]:
    """Return the revisions that go, shortened; the order of the versions must not matter.

    ``live`` is the place of the live leaf among them, if it is not the last one.
    """
    leaf = versions[-1 if live is None else live] if versions else version(1)
    leaves = () if leaf.is_deleted else (leaf.revision,)
    one, other = (due_versions(each, leaves, limit, before) for each in (versions, versions[::-1]))
    assert one == other
    assert may_be_due(versions, limit, before) or not [each for each in one if not each.is_lost]
    return [each.revision[:3] + ("?" if each.is_lost else "") for each in one]


def test_a_version_goes_long_after_it_was_superseded() -> None:
    versions = [version(number) for number in range(1, 5)]
    assert due(versions, before=day(2)) == []
    assert due(versions, before=day(3)) == ["1-a"]
    assert due(versions, before=NEVER) == ["1-a", "2-a", "3-a"]


def test_its_own_age_does_not_count() -> None:
    assert due([version(1, at=1), version(2, at=20)], before=day(15)) == []


def test_a_version_goes_with_many_newer_ones() -> None:
    versions = [version(number) for number in range(1, 7)]
    assert due(versions, limit=3) == ["1-a", "2-a"]
    assert due(versions, limit=100) == []


def test_the_current_version_stays_also_if_it_is_a_deletion() -> None:
    for current in (version(3), replace(version(3), is_deleted=True)):
        assert due([version(1), version(2), current], before=NEVER, limit=1) == ["1-a", "2-a"]
        assert due([current], before=NEVER) == []


def test_all_stay_while_several_are_live() -> None:
    versions = [version(1), version(2), version(3), version(3, "b")]
    assert due_versions(versions, (revision(3, "b"), revision(3, "a")), 1, NEVER) == []


def test_a_gap_in_the_history_keeps_nothing_alive() -> None:
    """The version before a gap looks like a leaf."""
    versions = [version(1), version(2), version(5), version(6)]
    assert due(versions, before=day(5)) == ["1-a"]
    assert due(versions, before=day(6)) == ["1-a", "2-a"]
    assert due([version(1), replace(version(3), is_deleted=True)], before=NEVER) == ["1-a"]


def test_a_current_version_that_is_not_captured_yet_supersedes_nothing_yet() -> None:
    assert due_versions([version(1), version(2)], (revision(3, "a"),), 100, NEVER) == [version(1)]


def test_a_merge_lets_both_branches_go() -> None:
    merged = replace(version(4), parents=(revision(3, "a"), revision(3, "b")))
    tombstone = replace(
        version(4, "c", parent="b"), is_deleted=True, nonce=tombstone_nonce(revision(3, "b")), updated_at=day(4)
    )
    versions = [version(1), version(2), version(3), version(3, "b"), merged, tombstone]
    assert due(versions, before=day(4), live=-2) == ["1-a", "2-a"]
    assert due(versions, before=NEVER, live=-2) == ["1-a", "2-a", "3-a", "3-b", "4-c"]
    # The tombstone is no version of the item, and does not count.
    assert due(versions, limit=2, live=-2) == ["1-a", "2-a"]


def test_a_lost_version_goes_like_others_and_shows_no_time() -> None:
    lost = Version(ID, revision(2, "a"), parents=(revision(1, "a"),))
    assert due([version(1), lost, version(3)], before=day(3)) == []
    assert due([version(1), lost, version(3)], before=day(4)) == ["1-a", "2-a?"]


def test_a_lost_version_goes_if_it_is_there_whole() -> None:
    lost = Version(ID, revision(1, "a"))
    assert due([version(1), lost, version(2), version(3)]) == ["1-a?"]


def test_an_edit_in_fauxton_shows_no_time() -> None:
    """It keeps the time and the nonce of the version before it."""
    edited = version(2, at=1, nonce="1a")
    assert due([version(1), edited], before=day(5)) == []
    assert due([version(1), edited, version(3, at=9)], before=day(9)) == []
    # Only the version before the edit shows that it is one.
    assert due([version(1), edited, version(3, at=9), version(4, at=20)], before=day(10)) == ["1-a", "2-a"]
    assert due([version(1), edited, version(3, at=9)], limit=1) == []
    assert due([version(1), edited, version(3), version(4)], limit=1) == ["1-a", "2-a"]


def test_a_deletion_in_fauxton_has_no_time() -> None:
    bare = Version(ID, revision(3, "a"), {}, parents=(revision(2, "a"),), is_deleted=True)
    assert due([version(1), version(2), bare], before=NEVER) == ["1-a"]


def test_versions_that_are_each_others_parents_do_no_harm() -> None:
    one, other = replace(version(2), parents=(revision(1, "a"),)), replace(version(1), parents=(revision(2, "a"),))
    assert due([other, one], limit=1) == []
    assert due([]) == []

"""The end of each kind of conflict: merged, or left to people for a reason."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.conflicts.judgement import MAX_MERGES_IN_A_ROW, Judgement, Reason
from app.domain.merging.text_merge import Clash, Clean
from tests.domain.conflicts.model import Region, sync

pytestmark = pytest.mark.nodatabase

ID = "document:0000000000000001"
LINES = "one\ntwo\nthree\nfour\nfive\n"


@pytest.fixture
def regions() -> tuple[Region, Region]:
    """Two regions that have the same document."""
    one, other = Region(), Region()
    one.edit(ID, title="T", content=LINES, project_id=1)
    sync(one, other)
    return one, other


def conflict(regions: tuple[Region, Region], own: dict[str, Any], others: dict[str, Any]) -> Judgement:
    """Edit the document in both regions, replicate, and return the judgement, which must be the same in both."""
    old = {"title": "T", "content": LINES, "project_id": 1}
    for region, members in zip(regions, (own, others), strict=True):
        region.edit(ID, **{**old, **members})
    sync(*regions)
    one, other = (region.judge(ID) for region in regions)
    assert one == other
    return one


def merged(regions: tuple[Region, Region]) -> dict[str, Any]:
    """Resolve in both regions, and return the members of the revision that is the only live one in both."""
    for region in regions:
        region.resolve(ID)
    one, other = regions
    assert one.live(ID) == other.live(ID)
    assert len(one.live(ID)) == 1
    assert one.tree.every_leaf(ID) == other.tree.every_leaf(ID)
    return dict(one.members(ID))


def test_edits_of_different_lines_are_merged(regions: tuple[Region, Region]) -> None:
    own, others = LINES.replace("one", "ONE"), LINES.replace("five", "FIVE")
    assert conflict(regions, {"content": own}, {"content": others}).is_pending
    expected = LINES.replace("one", "ONE").replace("five", "FIVE")
    assert merged(regions) == {"title": "T", "content": expected, "project_id": 1}


def test_a_move_and_an_edit_are_merged(regions: tuple[Region, Region]) -> None:
    conflict(regions, {"project_id": 2}, {"title": "New"})
    assert merged(regions) == {"title": "New", "content": LINES, "project_id": 2}


def test_equal_edits_keep_the_winner(regions: tuple[Region, Region]) -> None:
    judgement = conflict(regions, {"title": "New"}, {"title": "New"})
    assert judgement.writes.merge is None
    assert merged(regions)["title"] == "New"
    assert regions[0].live(ID) == judgement.revisions[:1]


def test_removing_a_text_and_editing_another_member_are_merged(regions: tuple[Region, Region]) -> None:
    conflict(regions, {"content": None}, {"title": "New"})
    assert merged(regions) == {"title": "New", "project_id": 1}


@pytest.mark.parametrize(
    ("own", "others", "members"),
    [
        ({"title": "A"}, {"title": "B"}, {"title"}),
        ({"project_id": 2}, {"project_id": 3}, {"project_id"}),
        ({"project_id": 2}, {"project_id": None}, {"project_id"}),
        ({"content": LINES.replace("one", "1")}, {"content": LINES.replace("one", "I")}, {"content"}),
        ({"content": None}, {"content": LINES + "six\n"}, {"content"}),
        ({"title": "A", "content": "1\n" + LINES}, {"title": "B", "content": "2\n" + LINES}, {"title", "content"}),
    ],
)
def test_a_clash_writes_nothing(
    regions: tuple[Region, Region], own: dict[str, Any], others: dict[str, Any], members: set[str]
) -> None:
    judgement = conflict(regions, own, others)
    assert (judgement.reason, judgement.is_pending, bool(judgement.writes)) == (Reason.CLASH, False, False)
    assert judgement.merge
    assert {name for name, it in judgement.merge.members.items() if isinstance(it, Clash)} == members
    assert judgement.base
    assert judgement.base.members == {"title": "T", "content": LINES, "project_id": 1}
    writes = [region.tree.writes for region in regions]
    assert [region.resolve(ID)[0] for region in regions] == [judgement, judgement]
    assert [region.tree.writes for region in regions] == writes


def test_the_hunks_of_a_clash_are_in_the_order_of_the_versions(regions: tuple[Region, Region]) -> None:
    judgement = conflict(regions, {"title": "A"}, {"title": "B"})
    assert judgement.merge
    outcome = judgement.merge.members["title"]
    assert isinstance(outcome, Clash)
    assert outcome.hunks[0].base == "T"
    assert outcome.hunks[0].versions == tuple(version.item.fields["title"] for version in judgement.versions)


def test_an_edit_lives_against_a_deletion(regions: tuple[Region, Region]) -> None:
    one, other = regions
    one.delete(ID)
    edited = other.edit(ID, title="New")
    sync(one, other)
    assert one.live(ID) == other.live(ID) == (edited,)
    assert not one.resolve(ID)


def test_a_move_into_a_project_that_is_gone_is_an_orphan(regions: tuple[Region, Region]) -> None:
    for region in regions:
        region.projects.discard(2)
    judgement = conflict(regions, {"project_id": 2}, {"title": "New"})
    assert (judgement.reason, bool(judgement.writes)) == (Reason.ORPHAN, False)
    assert judgement.merge
    assert judgement.merge.members["project_id"] == Clean(2)


def test_an_orphan_is_merged_once_its_project_is_there(regions: tuple[Region, Region]) -> None:
    for region in regions:
        region.projects.discard(2)
    conflict(regions, {"project_id": 2}, {"title": "New"})
    for region in regions:
        region.projects.add(2)
    assert merged(regions)["project_id"] == 2


def test_a_missing_base_is_awaited_for_a_minute() -> None:
    one, other = Region(keeps_history=False), Region(keeps_history=False)
    first = one.edit(ID, title="T")
    sync(one, other)
    one.edit(ID, title="A")
    other.edit(ID, title="T", content="text\n")
    one.tree.compact()
    sync(one, other)
    one.resolve(ID)
    assert (one.judge(ID).reason, one.judge(ID).is_pending) == (None, True)
    one.seconds = 59.0
    assert one.judge(ID).is_pending
    one.seconds = 60.0
    assert (one.judge(ID).reason, one.judge(ID).base, one.judge(ID).merge) == (Reason.NO_BASE, None, None)
    # The base comes by replication after all.
    one.history.keep(other.tree.read_revisions(ID, [first]))
    assert one.judge(ID).writes.merge


def test_versions_without_a_common_ancestor_have_no_base() -> None:
    one, other = Region(), Region()
    one.edit(ID, title="A")
    other.edit(ID, title="B")
    sync(one, other)
    assert one.judge(ID).reason == other.judge(ID).reason == Reason.NO_BASE


def test_a_merge_is_a_function_of_the_leaves(regions: tuple[Region, Region]) -> None:
    judgement = conflict(regions, {"title": "A"}, {"content": LINES + "six\n", "project_id": 2})
    assert judgement.writes.merge
    winner, loser = (leaf.item for leaf in judgement.leaves)
    document = judgement.writes.merge.document()
    assert list(document) == [
        "_id",
        "type",
        "id",
        "title",
        "content",
        "project_id",
        "created_at",
        "updated_at",
        "updated_by",
        "left",
        "merged_from",
        "nonce",
        "_rev",
    ]
    latest = max(winner.fields["updated_at"], loser.fields["updated_at"])
    assert document["_rev"] == winner.revision
    assert (document["created_at"], document["updated_at"]) == (winner.fields["created_at"], latest)
    assert document["updated_by"] == "merge"
    assert document["merged_from"] == sorted([winner.revision, loser.revision])
    assert document["left"] == [{"project": 1, "generation": 3, "at": latest}]
    (tombstone,) = (write.document() for write in judgement.writes.tombstones)
    assert (tombstone["_rev"], tombstone["_deleted"]) == (loser.revision, True)
    assert tombstone["updated_at"] == loser.fields["updated_at"]


def test_a_merge_that_was_half_stored_is_finished_and_not_repeated(regions: tuple[Region, Region]) -> None:
    judgement = conflict(regions, {"title": "A"}, {"content": LINES + "six\n"})
    assert judgement.writes.merge
    revision = regions[0].tree.write(judgement.writes.merge)
    assert revision
    regions[0].capture()
    assert len(regions[0].live(ID)) == 2
    again = regions[0].judge(ID)
    assert (again.writes.merge, again.writes.tombstones) == (None, judgement.writes.tombstones)
    merged(regions)
    assert regions[0].live(ID) == (revision,)


def test_a_half_stored_merge_is_finished_after_an_edit_of_it(regions: tuple[Region, Region]) -> None:
    judgement = conflict(regions, {"title": "A"}, {"content": LINES + "six\n"})
    assert judgement.writes.merge
    regions[0].tree.write(judgement.writes.merge)
    regions[0].capture()
    edited = regions[0].edit(ID, title="Edited")
    regions[0].tree.compact()
    regions[0].resolve(ID)
    assert regions[0].live(ID) == (edited,)


def test_a_version_that_came_during_a_merge_is_merged_on_the_nearest_ancestor() -> None:
    one, other, third = Region(), Region(), Region()
    one.edit(ID, title="T", content=LINES)
    sync(one, other, third)
    for region, number in ((one, "one"), (other, "three"), (third, "five")):
        region.edit(ID, title="T", content=LINES.replace(number, number.upper()))
    one.pull(other)
    one.resolve(ID)
    sync(one, third)
    other.pull(third)
    other.resolve(ID)
    for _ in range(3):
        sync(one, other, third)
        for region in (one, other, third):
            region.resolve(ID)
    assert one.live(ID) == other.live(ID) == third.live(ID)
    assert one.members(ID)["content"] == "ONE\ntwo\nTHREE\nfour\nFIVE\n"


def test_the_base_of_two_merges_of_the_same_versions_is_their_merge(regions: tuple[Region, Region]) -> None:
    """Both sides have a merge of the same leaves, and one of them removed a line of a leaf again."""
    one, other = regions
    conflict(regions, {"content": "zero\n" + LINES}, {"content": LINES + "six\n"})
    merged(regions)
    one.edit(ID, title="T", content=LINES + "six\n")
    other.edit(ID, title="New", content="zero\n" + LINES + "six\n")
    sync(one, other)
    assert merged(regions) == {"title": "New", "content": LINES + "six\n"}


def resolution(region: Region, **members: Any) -> None:
    """Resolve a conflict as the API does: a revision on top of the winner, and tombstones on the others."""
    live = region.live(ID)
    region.edit(ID, live[0], merged_from=sorted(live), **members)
    for each in live[1:]:
        region.delete(ID, each)


def test_a_clash_that_both_regions_resolve_differently_is_one_conflict(regions: tuple[Region, Region]) -> None:
    one, other = regions
    conflict(regions, {"title": "A"}, {"title": "B"})
    resolution(one, title="A", content=LINES)
    resolution(other, title="B", content=LINES + "six\n")
    sync(one, other)
    judgement = one.judge(ID)
    assert judgement == other.judge(ID)
    assert (judgement.reason, judgement.base) == (Reason.CLASH, None)
    assert {version.item.fields["title"] for version in judgement.versions} == {"A", "B"}
    assert judgement.merge
    assert judgement.merge.members["content"] == Clean(LINES + "six\n")


def test_a_clash_that_both_regions_resolve_alike_is_one_item(regions: tuple[Region, Region]) -> None:
    one, other = regions
    conflict(regions, {"title": "A"}, {"title": "B"})
    resolution(one, title="A", content=LINES)
    resolution(other, title="A", content=LINES)
    sync(one, other)
    assert merged(regions) == {"title": "A", "content": LINES}


def test_too_many_leaves_are_a_loop() -> None:
    region = Region()
    first = region.edit(ID, title="T")
    for number in range(60):
        other = Region()
        other.tree.add(ID, first, None, region.tree.bodies[ID, first])
        other.edit(ID, title=f"T{number}")
        region.tree.pull(other.tree)
    judgement = region.judge(ID)
    assert (judgement.reason, len(judgement.revisions), len(judgement.leaves)) == (Reason.LOOP, 60, 50)
    assert not judgement.writes


def test_merges_of_nothing_but_merges_are_a_loop() -> None:
    """Two regions whose rules differ merge each other's merges, and never agree."""
    one, other = Region(), Region()
    one.edit(ID, title="T", content=LINES)
    sync(one, other)
    one.edit(ID, title="A", content=LINES)
    other.edit(ID, title="T", content=LINES + "six\n")
    for number in range(MAX_MERGES_IN_A_ROW + 2):
        sync(one, other)
        judgement = one.judge(ID)
        if judgement.reason is Reason.LOOP:
            break
        live = one.live(ID)
        for region, name in ((one, "one"), (other, "other")):
            content = f"merged by {name} {number}\n{LINES}"
            region.edit(ID, live[0], title="A", content=content, updated_by="merge", merged_from=sorted(live))
            region.delete(ID, live[1])
    assert (judgement.reason, number) == (Reason.LOOP, MAX_MERGES_IN_A_ROW + 1)
    assert judgement.merge
    assert not one.judge(ID).writes
    assert [judged.reason for judged in one.resolve(ID) if judged] == [Reason.LOOP]

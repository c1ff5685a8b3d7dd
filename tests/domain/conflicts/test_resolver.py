"""The resolver on real databases: two regions that copy their leaves to each other."""

from __future__ import annotations

import pytest

from app.domain.resources import DOCUMENT
from app.errors import Unavailable
from app.metric_definitions import CONFLICTS_OPEN, MERGES
from app.store.items import ItemWrite
from app.store.leaves import MAX_LEAVES, Leaves
from tests.domain.conflicts.database_region import DatabaseRegion
from tests.replication import replicate, revision

LINES = "one\ntwo\nthree\nfour\nfive\n"


def conflict(regions: tuple[DatabaseRegion, DatabaseRegion], *edits: dict[str, object]) -> int:
    """Return a document that each region has edited, and that both have with all leaves."""
    one, other = regions
    public_id = one.create(title="T", content=LINES)
    other.copy_from(one, [public_id])
    for region, members in zip(regions, edits, strict=True):
        region.edit(public_id, **members)
    one.copy_from(other, [public_id])
    other.copy_from(one, [public_id])
    return public_id


def test_both_regions_write_the_same_revisions(regions: tuple[DatabaseRegion, DatabaseRegion]) -> None:
    one, other = regions
    public_id = conflict(regions, {"content": LINES.replace("one", "ONE")}, {"content": LINES + "six\n"})
    for region in regions:
        region.resolve()
    assert one.live(public_id) == other.live(public_id)
    assert len(one.live(public_id)) == 1
    assert one.every_leaf(public_id) == other.every_leaf(public_id)
    assert one.item(public_id).fields["content"] == LINES.replace("one", "ONE") + "six\n"
    sequences = one.sequences()
    one.resolve()
    assert one.sequences() == sequences


def test_all_versions_are_in_the_history(regions: tuple[DatabaseRegion, DatabaseRegion]) -> None:
    one, _ = regions
    public_id = conflict(regions, {"title": "New"}, {"content": LINES + "six\n"})
    live = one.live(public_id)
    one.resolve()
    revisions = [*live, *one.live(public_id)]
    versions = one.services.store.versions.find(DOCUMENT.doc_id(public_id), revisions)
    assert versions.keys() == set(revisions)
    assert set(versions[revisions[-1]].parents) == set(live)


def test_a_clash_is_counted_and_writes_nothing(regions: tuple[DatabaseRegion, DatabaseRegion]) -> None:
    one, _ = regions
    public_id = conflict(regions, {"title": "A"}, {"title": "B"})
    live, sequences = one.live(public_id), one.sequences()
    clashes = one.metric(MERGES, "clash")
    one.resolve()
    one.resolve()
    assert (one.live(public_id), one.sequences()) == (live, sequences)
    assert one.metric(MERGES, "clash") == clashes + 1
    assert one.metric(CONFLICTS_OPEN, "clash") == 1
    one.services.resolver.stand_by()
    assert one.metric(CONFLICTS_OPEN, "clash") == 0
    one.delete(public_id)


def test_projects_are_merged_without_the_mark_of_a_deletion(
    regions: tuple[DatabaseRegion, DatabaseRegion], server_url: str
) -> None:
    one, _ = regions
    project_id = one.create_project("P")
    old = one.services.store["projects"].get(f"project:{project_id:016d}")
    assert old
    first = old.pop("_rev")
    marked = {**old, "deleting_at": old["updated_at"]}
    branches = ((marked, [revision(2, "f"), first]), ({**old, "description": "New"}, [revision(2, "a"), first]))
    replicate(server_url, f"{one.prefix}-projects", *branches)
    one.resolve()
    merged = one.services.store["projects"].get(old["_id"])
    assert merged
    assert (merged["name"], merged["description"]) == ("P", "New")
    assert "deleting_at" not in merged


def test_a_leaf_that_others_extend_meanwhile_is_merged_afterwards(
    regions: tuple[DatabaseRegion, DatabaseRegion], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = regions
    public_id = conflict(regions, {"title": "New"}, {"content": LINES + "six\n"})
    store, edits = Leaves.store, [{"content": "zero\n" + LINES}]

    def edit_first(leaves: Leaves, writes: list[ItemWrite]) -> None:
        if edits:
            one.edit(public_id, **edits.pop())
        store(leaves, writes)

    with monkeypatch.context() as patched:
        patched.setattr(Leaves, "store", edit_first)
        one.resolve()
    assert len(one.live(public_id)) == 1
    fields = one.item(public_id).fields
    assert (fields["title"], fields["content"][:5]) == ("New", "zero\n")


def test_a_merge_that_was_cut_off_is_finished(
    regions: tuple[DatabaseRegion, DatabaseRegion], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = regions
    public_id = conflict(regions, {"title": "New"}, {"content": LINES + "six\n"})
    store = Leaves.store

    def store_merges(leaves: Leaves, writes: list[ItemWrite]) -> None:
        if any(write.deletes for write in writes):
            raise Unavailable
        store(leaves, writes)

    with monkeypatch.context() as patched:
        patched.setattr(Leaves, "store", store_merges)
        one.run_resolver()
    merged = one.live(public_id)[0]
    assert len(one.live(public_id)) == 2
    one.resolve()
    other.resolve()
    assert one.live(public_id) == other.live(public_id) == (merged,)
    assert one.every_leaf(public_id) == other.every_leaf(public_id)


def test_the_sweep_finds_a_conflict_that_the_feed_has_passed(
    regions: tuple[DatabaseRegion, DatabaseRegion], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = regions
    public_id = conflict(regions, {"title": "New"}, {"content": LINES + "six\n"})
    monkeypatch.setattr(Leaves, "branched_since", lambda leaves, place, limit: ([], place, True))
    one.resolve()
    assert len(one.live(public_id)) == 1


def test_more_leaves_than_edits_explain_are_a_loop(
    regions: tuple[DatabaseRegion, DatabaseRegion], server_url: str
) -> None:
    one, _ = regions
    public_id = one.create(title="T")
    old = one.services.store["documents"].get(DOCUMENT.doc_id(public_id))
    assert old
    first = old.pop("_rev")
    branches = [({**old, "title": f"T{number}"}, [f"2-{number:032x}", first]) for number in range(MAX_LEAVES + 1)]
    replicate(server_url, f"{one.prefix}-documents", *branches)
    one.resolve()
    assert one.metric(CONFLICTS_OPEN, "loop") == 1
    assert len(one.live(public_id)) == MAX_LEAVES + 1

"""The ends of changes that two regions make at the same time, on real databases that replicate."""

from __future__ import annotations

from app.domain.conflicts.conflicts import Resolution
from app.domain.conflicts.judgement import Reason
from app.domain.resources import DOCUMENT
from app.store.leaves import winner_order
from app.store.versions import Version
from tests.domain.conflicts.database_region import ACCESS, ALL_DATABASES, DatabaseRegion

Regions = tuple[DatabaseRegion, DatabaseRegion]
# The databases in the order that replication may bring them.
REPLICATED = ("projects", *ALL_DATABASES)


def sync(regions: Regions) -> None:
    """Replicate everything in both directions, with the versions that were captured."""
    for region in regions:
        region.capture()
    for source, target in (regions, regions[::-1]):
        target.pull(source, REPLICATED)


def create(regions: Regions) -> int:
    """Return a document that both regions have."""
    public_id = regions[0].create(title="T", content="one\ntwo\nthree\n")
    sync(regions)
    return public_id


def end_alike(regions: Regions, public_id: int) -> tuple[str, ...]:
    """Replicate and resolve; return the live leaves, which are the same in both regions and stay so."""
    sync(regions)
    for region in regions:
        region.resolve()
    sync(regions)
    sequences = [region.sequences() for region in regions]
    for region in regions:
        region.resolve()
    sync(regions)
    assert [region.sequences() for region in regions] == sequences
    one, other = regions
    assert one.every_leaf(public_id) == other.every_leaf(public_id)
    assert versions(one, public_id) == versions(other, public_id)
    return one.live(public_id)


def versions(region: DatabaseRegion, public_id: int) -> list[Version]:
    """Return the versions that the history has of a document, newest first."""
    return list(region.services.store.versions.page(DOCUMENT.doc_id(public_id), None, 100).versions)


def resolve(region: DatabaseRegion, public_id: int, title: str) -> str:
    """Resolve a conflict by keeping the version with this title; return the new revision."""
    leaves = region.judge(public_id).versions
    [keep] = [leaf.revision for leaf in leaves if leaf.item.fields["title"] == title]
    resolution = Resolution(frozenset(leaf.revision for leaf in leaves), keep=keep)
    return region.services.conflicts.resolve(ACCESS, DOCUMENT, public_id, resolution).revision


def clash(regions: Regions) -> int:
    """Return a document whose title both regions have changed."""
    public_id = create(regions)
    for region, title in zip(regions, "AB", strict=True):
        region.edit(public_id, title=title)
    assert len(end_alike(regions, public_id)) == 2
    return public_id


def test_an_edit_that_arrives_again_changes_nothing(regions: Regions) -> None:
    one, other = regions
    public_id = create(regions)
    one.edit(public_id, title="New")
    live = end_alike(regions, public_id)
    sequences = [region.sequences() for region in regions]
    for source, target in (regions, regions[::-1], regions):
        target.copy_from(source, [public_id])
    for region in regions:
        region.capture()
        region.resolve()
    assert [region.sequences() for region in regions] == sequences
    assert one.live(public_id) == other.live(public_id) == live
    assert [version.members and version.members["title"] for version in versions(one, public_id)] == ["New", "T"]


def test_equal_edits_are_one_version_without_a_merge(regions: Regions) -> None:
    public_id = create(regions)
    revisions = set[str]()
    for region in regions:
        region.edit(public_id, title="New")
        revisions.update(region.live(public_id))
    [live] = end_alike(regions, public_id)
    assert live == max(revisions, key=winner_order)
    captured = {version.revision for version in versions(regions[0], public_id) if not version.is_deleted}
    assert captured >= revisions
    assert len(captured) == 3


def test_a_document_stays_in_a_project_that_was_deleted_meanwhile(regions: Regions) -> None:
    one, other = regions
    project_id, public_id = one.create_project("P"), create(regions)
    one.edit(public_id, project_id=project_id)
    other.services.projects.delete(ACCESS, project_id)
    [live] = end_alike(regions, public_id)
    assert one.item(public_id).project_id == project_id
    assert one.item(public_id).revision == live
    one.edit(public_id, title="Still editable")
    other.edit(public_id, project_id=None)
    end_alike(regions, public_id)
    fields = one.item(public_id).fields
    assert (fields["title"], fields.get("project_id")) == ("Still editable", None)


def test_a_clash_that_both_regions_resolve_differently_at_once_is_one_conflict(regions: Regions) -> None:
    one, other = regions
    public_id = clash(regions)
    clashing = one.live(public_id)
    resolved = {resolve(one, public_id, "A"), resolve(other, public_id, "B")}
    assert set(end_alike(regions, public_id)) == resolved
    judgement = one.judge(public_id)
    assert (judgement.reason, set(judgement.revisions)) == (Reason.CLASH, resolved)
    assert {leaf.item.fields["title"] for leaf in judgement.versions} == {"A", "B"}
    assert {version.revision for version in versions(one, public_id)} >= {*clashing, *resolved}
    last = resolve(other, public_id, "B")
    assert end_alike(regions, public_id) == (last,)
    assert one.item(public_id).fields["title"] == "B"


def test_a_clash_that_both_regions_resolve_alike_at_once_is_one_item(regions: Regions) -> None:
    public_id = clash(regions)
    clashing = regions[0].live(public_id)
    resolved = {resolve(region, public_id, "A") for region in regions}
    [live] = end_alike(regions, public_id)
    assert live == max(resolved, key=winner_order)
    assert {version.revision for version in versions(regions[0], public_id)} >= {*clashing, *resolved}

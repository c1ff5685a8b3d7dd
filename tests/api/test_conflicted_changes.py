"""Conflicts in the changes: items are marked, and all of their leaves decide which removals a client sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app import Application
from app.api.change_stream import change_event
from app.domain.access import SCOPES
from app.domain.changes.conflict_marks import ConflictMarks
from app.domain.changes.visibility import Shown
from app.domain.resources import DOCUMENT, PROJECT
from app.services import Services
from tests.api.conflicts import bring_versions
from tests.api.conftest import Caller
from tests.api.follower import Follower

QUERIES = ["", "&include=value"]
every_query = pytest.mark.parametrize("query", QUERIES, ids=["tags", "values"])


def change_of(changes: list[dict[str, Any]], document_id: int) -> dict[str, Any]:
    """Return the one change of a document."""
    [change] = [each for each in changes if (each["type"], each["id"]) == ("document", document_id)]
    return change


def follow(caller: Caller) -> Follower:
    """Return a client that has caught up."""
    follower = Follower(caller)
    follower.sync()
    return follower


def clash(ada: Caller, services: Services) -> tuple[int, list[str]]:
    document_id = ada.new_document("Base")["id"]
    return document_id, bring_versions(services, "documents", document_id, {"title": "Ours"}, {"title": "Theirs"})


@pytest.mark.parametrize("limits", [False, True], ids=["unlimited", "limited"])
@pytest.mark.parametrize("value", QUERIES, ids=["tags", "values"])
def test_an_item_in_conflict_is_marked_until_the_conflict_is_resolved(
    app: Application, ada: Caller, services: Services, limits: bool, value: str
) -> None:
    document_id = ada.new_document("Base")["id"]
    caller = Caller(app, services.keys.create("x", SCOPES, documents=[document_id])[1]) if limits else ada
    since = caller.get("/changes?since=now").json["next"]
    tags = bring_versions(services, "documents", document_id, {"title": "Ours"}, {"title": "Theirs"})
    answer = caller.get(f"/changes?since={since}{value}").json
    change = change_of(answer["changes"], document_id)
    assert (change["etag"], change["conflicted"], "value" in change) == (tags[0], True, bool(value))
    ada.post(f"/documents/{document_id}/resolve", {"keep": tags[1], "supersedes": tags})
    answer = caller.get(f"/changes?since={answer['next']}{value}").json
    assert "conflicted" not in change_of(answer["changes"], document_id)


@every_query
def test_a_first_sync_marks_open_conflicts(ada: Caller, services: Services, query: str) -> None:
    document_id, tags = clash(ada, services)
    project_id = ada.new_project("Base")["id"]
    bring_versions(services, "projects", project_id, {"name": "Ours"}, {"name": "Theirs"})
    merged = ada.new_document("Base")["id"]
    bring_versions(services, "documents", merged, {"title": "New"}, {"content": "New"})
    changes, since, is_caught_up = [], "", False
    while not is_caught_up:
        answer = ada.get(f"/changes?limit=3{query}{since}").json
        changes += answer["changes"]
        since, is_caught_up = f"&since={answer['next']}", answer["caught_up"]
    marked = {(each["type"], each["id"]) for each in changes if each.get("conflicted")}
    assert {("document", document_id), ("project", project_id)} <= marked
    assert ("document", merged) not in marked
    assert change_of(changes, document_id)["etag"] == tags[0]


def test_a_conflict_that_ends_without_a_new_current_version_is_a_change(ada: Caller, services: Services) -> None:
    document_id, tags = clash(ada, services)
    first = ada.get("/changes?limit=1000").json
    losing = services.store.leaves("documents").read([f"document:{document_id:016d}"])[f"document:{document_id:016d}"]
    tombstone = {"_id": losing[1].item.doc_id, "_rev": losing[1].revision, "_deleted": True}
    services.store["documents"].replace(tombstone)
    change = change_of(ada.get(f"/changes?since={first['next']}").json["changes"], document_id)
    assert (change["etag"], "conflicted" in change) == (tags[0], False)


def test_the_tag_of_an_answer_covers_the_marks(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = ada.get("/changes?since=now").json["next"]
    clash(ada, services)
    before = ada.get(f"/changes?since={since}").headers["ETag"]
    assert ada.get(f"/changes?since={since}").headers["ETag"] == before
    monkeypatch.setattr(ConflictMarks, "mark", lambda _, __, item: replace(item, conflicts=()))
    assert ada.get(f"/changes?since={since}").headers["ETag"] != before


def test_a_deleted_item_with_several_leaves_is_deleted(ada: Caller, services: Services) -> None:
    document_id, tags = clash(ada, services)
    since = ada.get("/changes?since=now").json["next"]
    assert ada.request("DELETE", f"/documents/{document_id}", headers={"If-Match": tags[0]}).status_code == 204
    for query in QUERIES:
        change = change_of(ada.get(f"/changes?since={since}{query}").json["changes"], document_id)
        assert (change["deleted"], "conflicted" in change) == (True, False)


def test_a_client_learns_that_a_document_has_left_its_project_by_a_version_of_another_region(
    ada: Caller, services: Services, limited: Callable[[int], Caller]
) -> None:
    """The current version never was in that project; only the other one shows that the client has the document."""
    own, other, third = (ada.new_project()["id"] for _ in range(3))
    document_id = ada.new_document("Base", project_id=third)["id"]
    ada.request("PATCH", f"/documents/{document_id}", json={"project_id": own})
    followers = [follow(limited(project)) for project in (own, other)]
    assert [("document", document_id) in each.items for each in followers] == [True, False]
    # On top of the first version, with a later generation than the one here.
    versions = {"project_id": other, "left": None, "title": "Ours"}, {"project_id": own, "title": "Theirs"}
    bring_versions(services, "documents", document_id, *versions)
    removed, added = (change_of(each.sync(), document_id) for each in followers)
    assert (removed["deleted"], "value" in removed, "conflicted" in removed) == (True, False, False)
    assert (added["value"]["project_id"], added["conflicted"]) == (other, True)
    assert [("document", document_id) in each.items for each in followers] == [False, True]


def test_a_stream_reports_a_conflict_as_an_event_of_its_own() -> None:
    changes = [Shown(kind, 7, "2-a", is_conflicted=True) for kind in (DOCUMENT, PROJECT)]
    data = b'"id":7,"etag":"\\"2-a\\"","conflicted":true}\n\n'
    assert list(map(change_event, changes)) == [
        b'event: document.conflicted\ndata: {"type":"document",' + data,
        b'event: project.conflicted\ndata: {"type":"project",' + data,
    ]


@pytest.fixture
def limited(app: Application, services: Services) -> Callable[[int], Caller]:
    """Make callers whose keys are limited to a project."""
    return lambda project: Caller(app, services.keys.create("limited", SCOPES, projects=[project])[1])

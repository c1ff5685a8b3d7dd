"""A client that polls `GET /changes` gets the first sync and then every change, of the types that it asks for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.store.feed import Feed
from tests.api.conftest import Caller
from tests.api.follower import Follower


def test_a_first_sync_lists_projects_before_documents_and_no_tombstones(ada: Caller) -> None:
    project, document = ada.new_project("P")["id"], ada.new_document("A")["id"]
    gone = ada.new_document("B")["id"]
    ada.request("DELETE", f"/documents/{gone}")
    answer = ada.get("/changes?include=value&limit=100")
    assert set(answer.json) == {"changes", "next", "caught_up"}
    changes = Follower(ada).sync("&limit=100")
    assert [each["type"] for each in changes] == sorted((each["type"] for each in changes), reverse=True)
    by_key = {(each["type"], each["id"]): each for each in changes}
    tag = ada.get(f"/documents/{document}").headers["ETag"]
    value = {"id": document, "title": "A"}
    assert by_key["document", document] == {"type": "document", "id": document, "etag": tag, "value": value}
    assert by_key["project", project]["value"] == {"id": project, "name": "P"}
    assert ("document", gone) not in by_key
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["Vary"] == "X-API-Key, Authorization, Accept"


def test_a_first_sync_in_small_answers_is_complete(ada: Caller) -> None:
    for number in range(5):
        ada.new_document(str(number), project_id=ada.new_project()["id"])
    follower = Follower(ada)
    changes = follower.sync("&limit=2")
    assert len({(each["type"], each["id"]) for each in changes}) == len(changes)
    everything = [*ada.walk("/projects"), *ada.walk("/documents")]
    assert len(follower.items) == sum(map(len, everything))


def test_the_feed_shows_creations_edits_and_deletions(ada: Caller) -> None:
    follower = Follower(ada)
    follower.sync()
    one, two = ada.new_document("A")["id"], ada.new_document("B")["id"]
    ada.request("PATCH", f"/documents/{one}", json={"title": "C"})
    ada.request("DELETE", f"/documents/{two}")
    changes = follower.sync()
    by_id = {each["id"]: (each.get("value"), each.get("deleted")) for each in changes}
    assert by_id == {one: ({"id": one, "title": "C"}, None), two: (None, True)}
    assert all(re.fullmatch('"2-[0-9a-f]+"', each["etag"]) for each in changes)
    assert follower.sync() == []


def test_without_include_there_are_no_values(ada: Caller) -> None:
    since = ada.get("/changes?since=now").json["next"]
    document_id = ada.new_document("A")["id"]
    tag = ada.get(f"/documents/{document_id}").headers["ETag"]
    changes = ada.get(f"/changes?since={since}").json["changes"]
    assert changes == [{"type": "document", "id": document_id, "etag": tag}]
    first = ada.get("/changes?limit=1").json["changes"][0]
    assert set(first) == {"type", "id", "etag"}


def test_since_now_begins_at_the_present(ada: Caller) -> None:
    ada.new_document("A")
    answer = ada.get("/changes?since=now")
    assert (answer.json["changes"], answer.json["caught_up"]) == ([], True)


def test_the_limit_counts_changes(ada: Caller) -> None:
    follower = Follower(ada)
    follower.sync()
    ids = [ada.new_document("A")["id"] for _ in range(3)]
    project_id = ada.new_project()["id"]
    first = follower.poll("&limit=2").json
    assert [each["type"] for each in first["changes"]] == ["project", "document"]
    assert first["changes"][0]["id"] == project_id
    assert not first["caught_up"]
    second = follower.poll("&limit=2").json
    assert sorted(each["id"] for each in [*first["changes"][1:], *second["changes"]]) == ids
    assert follower.sync() == []


def test_a_limit_above_the_maximum_means_the_maximum(ada: Caller) -> None:
    since = ada.get("/changes?since=now").json["next"]
    operations = [{"op": "create", "value": {"title": "x"}} for _ in range(101)]
    ada.post("/documents/batch", {"operations": operations})
    assert len(ada.get(f"/changes?since={since}&limit=1000").json["changes"]) == 100


@pytest.mark.parametrize("kind", ["document", "project"])
def test_a_type_is_a_filter(ada: Caller, kind: str) -> None:
    follower = Follower(ada, f"&type={kind}")
    follower.sync()
    ada.new_document()
    ada.new_project()
    assert [each["type"] for each in follower.sync()] == [kind]


def test_scopes_decide_on_the_types(ada: Caller, caller: Callable[..., Caller]) -> None:
    reader = caller("documents:read")
    since = reader.get("/changes?since=now").json["next"]
    ada.new_project()
    ada.new_document()
    assert [each["type"] for each in reader.get(f"/changes?since={since}").json["changes"]] == ["document"]
    assert reader.get("/changes?type=project").status_code == 403
    assert caller("projects:read").get("/changes?since=now").status_code == 200
    assert caller("documents:write").get("/changes").status_code == 403


def test_the_present_is_the_place_where_the_feed_ends(ada: Caller) -> None:
    """A stream from the present compares it with the places that its follower reports."""
    ada.new_project("P")
    for _ in range(5):
        ada.new_document("A")
    for feed in ada.app.services.changes._feeds.values():
        assert feed.present(feed.state()) == feed.read(0, limit=1000, with_documents=False).sequence


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database has several copies."""
    state = Feed.state
    monkeypatch.setattr(Feed, "state", lambda feed: replace(state(feed), is_exact=False))


@pytest.mark.usefixtures("cluster")
def test_a_first_sync_on_a_cluster_waits_for_an_older_place(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """It repeats the changes since that place, and misses none that a node did not list yet."""
    changes = ada.app.services.changes
    older: dict[Any, Any] = dict.fromkeys(changes._feeds, lambda _: None)
    monkeypatch.setattr(changes, "_older_places", older)
    answer = ada.get("/changes")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    places = {each: feed.state().sequence for each, feed in changes._feeds.items()}
    monkeypatch.setattr(changes, "_older_places", {each: lambda _, at=at: at for each, at in places.items()})
    document_id = ada.new_document()["id"]
    ada.request("DELETE", f"/documents/{document_id}")
    follower = Follower(ada)
    assert document_id in [each["id"] for each in follower.sync() if each.get("deleted")]
    assert follower.sync() == []

"""A poll of `GET /changes` shows only the items that the key and the project filter allow."""

from __future__ import annotations

import re
from collections.abc import Callable
from threading import Event

import pytest

from app.domain.resources import DOCUMENT, now
from app.services import Services
from tests.api.conftest import Caller
from tests.api.follower import Follower


def test_a_key_limited_to_a_project_sees_documents_enter_and_leave(ada: Caller, limited: Callable[..., Caller]) -> None:
    home, away = (ada.new_project()["id"] for _ in range(2))
    one, two, three = (ada.new_document("A", project_id=project)["id"] for project in (home, home, away))
    follower = Follower(limited(projects=[home]))
    follower.sync()
    assert follower.ids == [("document", one), ("document", two), ("project", home)]
    ada.request("PATCH", f"/documents/{one}", json={"project_id": away})
    ada.request("PATCH", f"/documents/{two}", json={"project_id": None})
    ada.request("DELETE", f"/documents/{two}")
    ada.request("PATCH", f"/documents/{three}", json={"project_id": home})
    changes = follower.sync()
    assert {(each["id"], each.get("deleted", False)) for each in changes} == {(one, True), (two, True), (three, False)}
    tags = {each["id"]: each["etag"] for each in changes}
    assert re.fullmatch('"[0-9a-f]{32}"', tags[one])
    assert follower.ids == [("document", three), ("project", home)]


def test_a_key_limited_to_a_document_keeps_it_wherever_it_goes(ada: Caller, limited: Callable[..., Caller]) -> None:
    home, away = (ada.new_project()["id"] for _ in range(2))
    document_id = ada.new_document("A", project_id=home)["id"]
    follower = Follower(limited(documents=[document_id]))
    follower.sync()
    assert follower.ids == [("document", document_id)]
    ada.request("PATCH", f"/documents/{document_id}", json={"project_id": away})
    assert follower.sync()[0]["value"]["project_id"] == away
    ada.request("DELETE", f"/documents/{document_id}")
    assert follower.sync()[0]["deleted"]


def test_a_project_filter_acts_like_a_limit(ada: Caller) -> None:
    home, away = (ada.new_project()["id"] for _ in range(2))
    document_id = ada.new_document("A", project_id=home)["id"]
    follower = Follower(ada, f"&project_id={home}")
    follower.sync()
    assert follower.ids == [("document", document_id), ("project", home)]
    ada.request("PATCH", f"/documents/{document_id}", json={"project_id": away})
    assert [(each["id"], each["deleted"]) for each in follower.sync()] == [(document_id, True)]
    assert follower.ids == [("project", home)]


@pytest.mark.parametrize(("mode", "status"), [("forbid", 403), ("hide", 200)])
def test_a_filter_outside_the_limits(ada: Caller, limited: Callable[..., Caller], mode: str, status: int) -> None:
    home, away = (ada.new_project()["id"] for _ in range(2))
    ada.new_document("A", project_id=away)
    client = limited(projects=[home], out_of_scope=mode)
    for project_id in (away, 987654321):
        answer = client.get(f"/changes?project_id={project_id}")
        assert answer.status_code == status
        if status == 200:
            assert (answer.json["changes"], answer.json["caught_up"]) == ([], True)


def test_hidden_writes_leave_no_trace(ada: Caller, limited: Callable[..., Caller]) -> None:
    home, away = (ada.new_project()["id"] for _ in range(2))
    client = limited(projects=[home])
    before = client.get(f"/changes?since={client.get('/changes').json['next']}")
    operations = [{"op": "create", "value": {"title": "x" * 300, "project_id": away}} for _ in range(300)]
    ada.post("/documents/batch", {"operations": operations})
    after = client.get(f"/changes?since={before.json['next']}")
    assert len(after.json["next"]) == len(before.json["next"])
    assert {**after.json, "next": 0} == {**before.json, "next": 0}
    assert after.headers["ETag"] == before.headers["ETag"]


def test_later_edits_of_a_document_that_left_are_hidden(
    ada: Caller, limited: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, away = (ada.new_project()["id"] for _ in range(2))
    document_id = ada.new_document("A", project_id=home)["id"]
    follower = Follower(limited(projects=[home]))
    follower.sync()
    ada.request("PATCH", f"/documents/{document_id}", json={"project_id": away})
    assert len(follower.sync()) == 1
    changes = follower.caller.app.services.changes
    later = now().replace(year=now().year + 1)
    monkeypatch.setattr(changes, "_now", lambda: later)
    monkeypatch.setattr("app.domain.changes.changes.MAX_AGE", later - now() + (later - now()))
    follower.sync()
    monkeypatch.setattr("app.domain.resources.now", lambda: later)
    ada.request("PATCH", f"/documents/{document_id}", json={"content": "secret"})
    assert follower.sync() == []


@pytest.mark.parametrize("is_captured", [True, False])
def test_tombstones_from_fauxton_are_deletions(
    ada: Caller, limited: Callable[..., Caller], services: Services, is_captured: bool
) -> None:
    """Also for clients that see one project: the tombstone does not name it, but the version before does."""
    home, away = (ada.new_project()["id"] for _ in range(2))
    document_id = ada.new_document(project_id=home)["id"]
    own = [Follower(ada), Follower(ada, f"&project_id={home}"), Follower(limited(projects=[home]))]
    other = Follower(limited(projects=[away]))
    for follower in (*own, other):
        follower.sync()
    if is_captured:
        assert services.capture is not None
        services.capture.run(Event())
    documents = services.store["documents"]
    stored = documents.get(DOCUMENT.doc_id(document_id))
    assert stored is not None
    documents.replace({"_id": stored["_id"], "_rev": stored["_rev"], "_deleted": True})
    for follower in own:
        assert [(each["id"], each["deleted"]) for each in follower.sync()] == [(document_id, True)]
        assert follower.sync() == []
    assert other.sync() == []

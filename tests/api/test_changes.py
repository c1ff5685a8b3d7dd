"""Check `GET /changes` by poll: the first sync, the feed, the cursor, the limits of keys, and the errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from app import Application
from app.couch.connection import Connection
from app.domain.access import SCOPES, reach
from app.domain.resources import DOCUMENT, now
from app.limits.policies import policies
from app.services import Services
from app.settings import Settings
from app.store.feed import Feed, FeedState
from couchapp import feed_identity
from couchapp.databases import Databases
from tests.api.conftest import Answer, Caller, deployed_settings
from tests.api.follower import Follower


@pytest.fixture(scope="module")
def settings(server_url: str, module_prefix: str) -> Settings:
    return deployed_settings(server_url, module_prefix, max_page_size=100)


@pytest.fixture
def limited(app: Application, services: Services) -> Callable[..., Caller]:
    """Make callers with a limited key of every scope."""

    def make(**limits: Any) -> Caller:
        return Caller(app, services.keys.create("limited", SCOPES, **limits)[1])

    return make


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


def test_the_tag_covers_changes_and_not_the_cursor(ada: Caller) -> None:
    since = ada.get("/changes?since=now").json["next"]
    first, again = (ada.get(f"/changes?since={since}") for _ in range(2))
    assert first.json["next"] != again.json["next"]
    assert first.headers["ETag"] == again.headers["ETag"]
    answer = ada.get(f"/changes?since={since}", if_none_match=first.headers["ETag"])
    assert (answer.status_code, answer.data) == (304, b"")
    ada.new_document()
    assert ada.get(f"/changes?since={since}", if_none_match=first.headers["ETag"]).status_code == 200


def test_head_answers_like_get_without_a_body(ada: Caller) -> None:
    answer = ada.request("HEAD", "/changes?since=now")
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["ETag"]


def test_an_answer_without_changes_is_free(make_app: Callable[..., Application], ada: Caller) -> None:
    client = Caller(make_app(rate_limit=policies("read=2/hour,write=100/hour")), ada.key)
    since = client.get("/changes?since=now").json["next"]
    for _ in range(5):
        assert client.get(f"/changes?since={since}").status_code == 200
    ada.new_document()
    statuses = [client.get(f"/changes?since={since}").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_a_stream_counts_as_one_read(make_app: Callable[..., Application], ada: Caller) -> None:
    """A server without an event loop ends it when it has caught up."""
    client = Caller(make_app(rate_limit=policies("read=2/hour,write=100/hour")), ada.key)
    answers = [client.get("/changes?since=now&feed=eventsource") for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert answers[0].data.startswith(b"id: ")
    assert answers[1].headers["RateLimit"].startswith('"read";r=0')


@pytest.mark.parametrize(
    "query",
    ["limit=0", "feed=x", "timeout=1.5", "timeout=0", "include=x", "type=key", "since=", "nope=1", "project_id=0"],
)
def test_a_faulty_query_is_a_400(ada: Caller, query: str) -> None:
    answer = ada.get(f"/changes?{query}")
    assert (answer.status_code, answer.json["error"]) == (400, "validation_failed")


def test_a_forged_cursor_is_a_400(ada: Caller, caller: Callable[..., Caller]) -> None:
    since = ada.get("/changes?since=now").json["next"]
    altered = since[:-1] + ("A" if since[-1] != "A" else "B")
    queries = [f"since={altered}", "since=x", f"since={since}A", f"since={since}&type=document"]
    answers = [*map(ada.get, (f"/changes?{query}" for query in queries)), caller().get(f"/changes?since={since}")]
    assert [(each.status_code, each.json["error"]) for each in answers] == [(400, "invalid_cursor")] * 5


def test_a_cursor_survives_a_rotation_of_the_key_and_of_the_secret(
    ada: Caller, services: Services, make_app: Callable[..., Application], settings: Settings
) -> None:
    key, text = services.keys.create("old", SCOPES)
    since = Caller(ada.app, text).get("/changes?since=now").json["next"]
    _, successor = services.keys.rotate(key.id, 0)
    assert Caller(ada.app, successor).get(f"/changes?since={since}").status_code == 200
    rotated = make_app(secrets=("a newer secret for tests", *settings.secrets))
    assert Caller(rotated, successor).get(f"/changes?since={since}").status_code == 200


def assert_gone(answer: Answer) -> None:
    assert (answer.status_code, answer.json["error"]) == (410, "gone")


@pytest.mark.parametrize("name", ["documents", "projects"])
def test_another_feed_identity_is_410(ada: Caller, settings: Settings, name: str) -> None:
    follower = Follower(ada)
    follower.sync()
    ada.new_document("A")
    ada.new_document("B")
    unfinished = ada.get("/changes?limit=1").json["next"]
    connection = Connection(settings.couchdb_url, timeout=30)
    feed_identity.renew(Databases(connection, settings.prefix), name)
    connection.close()
    assert_gone(follower.poll())
    assert_gone(ada.get(f"/changes?limit=1&since={unfinished}"))
    follower.since = None
    follower.sync()


def test_a_place_ahead_of_the_database_is_410(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    since = ada.get("/changes?since=now").json["next"]
    state = Feed.state

    def restored(feed: Feed) -> FeedState:
        return replace(state(feed), sequence="1-xyz")

    monkeypatch.setattr(Feed, "state", restored)
    assert_gone(ada.get(f"/changes?since={since}"))


def test_a_narrower_key_and_an_old_cursor_are_410(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = ada.get("/changes?since=now").json["next"]
    access = services.authenticator.authenticate(ada.key)
    narrowed = replace(access, reach=reach([1], None))
    with monkeypatch.context() as patch:
        patch.setattr(type(services.authenticator), "authenticate", lambda *_: narrowed)
        assert_gone(ada.get(f"/changes?since={since}"))
    later = now().replace(year=now().year + 1)
    monkeypatch.setattr(ada.app.services.changes, "_now", lambda: later)
    assert_gone(ada.get(f"/changes?since={since}"))


def test_a_database_without_an_identity_is_503(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Feed, "identity", lambda _: None)
    assert ada.get("/changes").status_code == 503


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


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading has no time beyond its first request."""
    monkeypatch.setattr("app.domain.changes.reading.TIME_SHARE", 0.0)
    monkeypatch.setattr("app.domain.changes.reading.FIRST_ROWS", 2)


@pytest.mark.usefixtures("slow")
def test_an_answer_is_short_when_the_time_is_spent(ada: Caller) -> None:
    follower = Follower(ada)
    follower.since = ada.get("/changes?since=now").json["next"]
    ids = [ada.new_document("A")["id"] for _ in range(5)]
    answer = follower.poll()
    first = [each["id"] for each in answer.json["changes"]]
    assert len(first) == 2
    assert not answer.json["caught_up"]
    assert sorted([*first, *(each["id"] for each in follower.sync())]) == ids


def test_an_answer_ends_at_a_size(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Follower(ada)
    follower.since = ada.get("/changes?since=now").json["next"]
    ids = [ada.new_document("A", content="x" * 1000)["id"] for _ in range(5)]
    monkeypatch.setattr("app.domain.changes.reading.MAX_PAGE_BYTES", 2000)
    first = [each["id"] for each in follower.poll().json["changes"]]
    assert len(first) == 2
    assert sorted([*first, *(each["id"] for each in follower.sync())]) == ids


@pytest.mark.parametrize("is_first_sync", [True, False])
def test_the_size_of_an_answer_counts_projects_and_documents_together(
    ada: Caller, limited: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch, is_first_sync: bool
) -> None:
    since = ada.get("/changes?since=now").json["next"]
    projects = [ada.new_project(description="x" * 1000)["id"] for _ in range(3)]
    documents = {ada.new_document(content="x" * 1000, project_id=projects[0])["id"] for _ in range(2)}
    monkeypatch.setattr("app.domain.changes.reading.MAX_PAGE_BYTES", 4000)
    follower = Follower(limited(projects=projects) if is_first_sync else ada)
    follower.since = None if is_first_sync else since
    first, second = follower.poll().json, follower.poll().json
    ids = [each["id"] for each in first["changes"]]
    assert (sorted(ids[:3]), len(ids), first["caught_up"]) == (projects, 4, False)
    assert {ids[3], second["changes"][0]["id"]} == documents


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

"""Responses of `GET /changes`: tags, rate limits, sizes, and refusals of queries and cursors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app import Application
from app.couch.connection import Connection
from app.domain.access import SCOPES, reach
from app.domain.resources import now
from app.limits.policies import policies
from app.services import Services
from app.settings import Settings
from app.store.feed import Feed, FeedState
from couchapp import feed_identity
from couchapp.databases import Databases
from tests.api.conftest import Answer, Caller
from tests.api.follower import Follower


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

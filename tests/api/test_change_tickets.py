"""`POST /changes/tickets` signs the filters of a stream for one key, and checks them like a query for changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app import Application
from app.domain.access import SCOPES
from app.domain.resources import DOCUMENT, KEY, PROJECT
from app.services import Services
from tests.api.conftest import Caller

PATH = "/changes/tickets"


@pytest.fixture
def limited(app: Application, services: Services) -> Callable[..., Caller]:
    """Make callers with a limited key of every scope."""

    def make(**limits: Any) -> Caller:
        return Caller(app, services.keys.create("limited", SCOPES, **limits)[1])

    return make


def test_a_ticket_has_the_url_of_its_stream(ada: Caller) -> None:
    answer = ada.post(PATH, {"type": "document", "include": "value", "since": "now"})
    assert answer.status_code == 201
    assert set(answer.json) == {"ticket", "url", "expires_in"}
    assert answer.json["expires_in"] == 60
    url = urlsplit(answer.json["url"])
    assert (url.scheme, url.netloc, url.path) == ("http", "localhost", "/changes")
    assert parse_qs(url.query) == {"ticket": [answer.json["ticket"]]}
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({"public_url": "https://api.example/v1"}, {}),
        ({"trusted_proxies": 1}, {"Host": "api.example", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/v1"}),
    ],
)
def test_the_url_leads_back_through_a_proxy(
    ada: Caller, make_app: Callable[..., Application], changes: dict[str, Any], headers: dict[str, str]
) -> None:
    answer = Caller(make_app(**changes), ada.key).request("POST", PATH, json={}, headers=headers)
    assert answer.json["url"].startswith("https://api.example/v1/changes?ticket=ds_ticket_")


def test_nothing_is_stored(ada: Caller, services: Services) -> None:
    databases = [services.store[each.database] for each in (DOCUMENT, PROJECT, KEY)] + [services.store["meta"]]
    before = [database.sequence() for database in databases]
    assert ada.post(PATH, {}).json["ticket"] != ada.post(PATH, {}).json["ticket"]
    assert [database.sequence() for database in databases] == before


def test_an_idempotency_key_is_refused(ada: Caller) -> None:
    answer = ada.request("POST", PATH, json={}, headers={"Idempotency-Key": "a"})
    assert (answer.status_code, answer.json["error"]) == (400, "validation_failed")
    assert [fault["location"] for fault in answer.json["errors"]] == ["header.Idempotency-Key"]


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({"type": "key"}, "body.type"),
        ({"include": "everything"}, "body.include"),
        ({"project_id": "1"}, "body.project_id"),
        ({"project_id": 0}, "body.project_id"),
        ({"since": ""}, "body.since"),
        ({"since": 1}, "body.since"),
        ({"feed": "poll"}, "body.feed"),
        ({"limit": 10}, "body.limit"),
        ({"key": "x"}, "body.key"),
    ],
)
def test_a_wrong_filter_is_400(ada: Caller, body: dict[str, object], location: str) -> None:
    answer = ada.post(PATH, body)
    assert answer.status_code == 400
    assert [fault["location"] for fault in answer.json["errors"]] == [location]


def test_a_since_must_belong_to_the_key_and_the_filters(ada: Caller, caller: Callable[..., Caller]) -> None:
    since = ada.get("/changes?since=now&type=document").json["next"]
    assert ada.post(PATH, {"since": since, "type": "document"}).status_code == 201
    for asker, body in (
        (ada, {"since": since}),
        (caller(), {"since": since, "type": "document"}),
        (ada, {"since": "x"}),
    ):
        answer = asker.post(PATH, body)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_cursor")


def test_the_scopes_and_limits_are_those_of_the_changes(
    ada: Caller, caller: Callable[..., Caller], limited: Callable[..., Caller]
) -> None:
    home, away = (ada.new_project()["id"] for _ in range(2))
    assert caller("projects:read").post(PATH, {}).status_code == 201
    assert caller("projects:read").post(PATH, {"type": "document"}).status_code == 403
    assert caller("documents:write").post(PATH, {}).status_code == 403
    assert limited(projects=[home]).post(PATH, {"project_id": home}).status_code == 201
    assert limited(projects=[home]).post(PATH, {"project_id": away}).status_code == 403
    assert limited(projects=[home], out_of_scope="hide").post(PATH, {"project_id": away}).status_code == 201


def test_a_refusal_does_not_pass_the_ticket_on(nobody: Caller) -> None:
    answer = nobody.get("/changes?ticket=ds_ticket_x")
    assert (answer.status_code, answer.headers["Referrer-Policy"]) == (401, "no-referrer")


def test_a_ticket_is_no_key(ada: Caller, nobody: Caller) -> None:
    ticket = ada.post(PATH, {}).json["ticket"]
    assert nobody.get(f"/documents?ticket={ticket}").status_code == 401
    assert ada.get(f"/documents?ticket={ticket}").status_code == 400
    assert Caller(ada.app, ticket).get("/changes").status_code == 401
    assert nobody.request("POST", f"{PATH}?ticket={ticket}", json={}).status_code == 401

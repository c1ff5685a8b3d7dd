"""The last use of a key: shown when stored, part of the tags, and written outside of requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from app import Application
from app.couch.connection import Connection, CouchResponse
from app.domain.keys import authenticator
from app.domain.resources import now, stamp
from app.services import Services
from tests.api.conftest import Caller


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, ...]]]:
    """The requests of this thread to the database: method and path, in order."""
    seen: list[tuple[str, ...]] = []
    ask, mine = Connection.request, threading.current_thread()

    def count(self: Connection, method: str, *path: str, **options: Any) -> CouchResponse:
        if threading.current_thread() is mine:
            seen.append((method, *path))
        return ask(self, method, *path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "request", count)
        yield seen


def flush(app: Application) -> None:
    """Let the application's minute pass."""
    app.services.usage.flush()


def test_a_use_shows_when_it_is_stored(app: Application, ada: Caller) -> None:
    made = ada.post("/keys", {"name": "used", "scopes": ["documents:read"]}).json
    flush(app)
    assert "last_used_at" not in ada.get(f"/keys/{made['id']}").json
    assert Caller(app, made["key"]).get("/documents").status_code == 200
    between = now()
    # A forbidden request is a use of its key too.
    assert Caller(app, made["key"]).get("/projects").status_code == 403
    assert "last_used_at" not in ada.get(f"/keys/{made['id']}").json
    flush(app)
    body = ada.get(f"/keys/{made['id']}").json
    assert between < datetime.fromisoformat(body["last_used_at"]) < now()
    assert [key for page in ada.walk("/keys?limit=2") for key in page if key["id"] == made["id"]] == [body]


def test_tags_change_if_and_only_if_the_last_use_does(app: Application, ada: Caller) -> None:
    made = ada.post("/keys", {"name": "tagged", "scopes": ["documents:read"]}).json
    paths = (f"/keys/{made['id']}", "/keys?order=desc&limit=1")
    tags = {path: ada.get(path).headers["ETag"] for path in paths}
    assert Caller(app, made["key"]).get("/documents").status_code == 200
    for path, tag in tags.items():
        assert ada.get(path, if_none_match=tag).status_code == 304
    flush(app)
    for path, tag in tags.items():
        changed = ada.get(path, if_none_match=tag)
        assert (changed.status_code, "last_used_at" in changed.text) == (200, True)
        flush(app)
        assert ada.get(path, if_none_match=changed.headers["ETag"]).status_code == 304


def test_a_successor_starts_without_a_last_use(app: Application, ada: Caller) -> None:
    old = ada.post("/keys", {"name": "rotated", "scopes": ["documents:read"]}).json
    assert Caller(app, old["key"]).get("/documents").status_code == 200
    flush(app)
    rotated = ada.post(f"/keys/{old['id']}/rotate", {})
    assert (rotated.status_code, "last_used_at" in rotated.json) == (201, False)
    assert "last_used_at" not in ada.get(f"/keys/{rotated.json['id']}").json
    assert "last_used_at" in ada.get(f"/keys/{old['id']}").json


def test_a_request_writes_nothing_and_sends_no_further_request(
    app: Application,
    ada: Caller,
    asked: list[tuple[str, ...]],
    module_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(authenticator, "VALID_SECONDS", 3600.0)
    made = ada.post("/keys", {"name": "quiet", "scopes": ["documents:read"]}).json
    asked.clear()
    user = Caller(app, made["key"])
    assert [user.get("/documents?limit=1").status_code for _ in range(5)] == [200] * 5
    assert {method for method, *_ in asked} <= {"GET", "POST"}
    assert {path[0] for _, *path in asked} == {f"{module_prefix}-keys", f"{module_prefix}-documents"}
    assert "_bulk_docs" not in {path[-1] for _, *path in asked}
    assert [path[-1] for _, *path in asked if path[0] == f"{module_prefix}-keys"] == ["_all_docs"] * 2
    asked.clear()
    flush(app)
    assert asked == [("POST", f"{module_prefix}-meta", which) for which in ("_all_docs", "_bulk_docs")]


def test_a_page_reads_the_uses_of_its_keys_in_one_request(
    ada: Caller, asked: list[tuple[str, ...]], module_prefix: str
) -> None:
    for _ in range(3):
        ada.post("/keys", {"name": "listed", "scopes": ["documents:read"]})
    asked.clear()
    assert len(ada.get("/keys?limit=3").json) == 3
    assert [path for _, *path in asked if path[0] == f"{module_prefix}-meta"] == [
        [f"{module_prefix}-meta", "_all_docs"]
    ]


def test_the_later_moment_wins_in_any_order_of_writes(make_app: Callable[..., Application], services: Services) -> None:
    key, text = services.keys.create("shared", ["documents:read"])
    early, late = make_app(), make_app()
    assert Caller(early, text).get("/documents").status_code == 200
    assert Caller(late, text).get("/documents").status_code == 200
    flush(late)
    last_used = services.usage.last_used([key.id])
    flush(early)
    assert services.usage.last_used([key.id]) == last_used
    assert services.keys.get(key.id) == replace(key, last_used_at=last_used[key.id])
    assert [one.last_used_at for one in services.keys.all() if one.id == key.id] == [last_used[key.id]]
    assert last_used[key.id] <= stamp(now())

"""One error format: every kind of error passes the same assertion."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from app import Application
from app.errors import ERRORS, Conflict
from app.limits.policies import policies
from app.store import Database, exchange
from app.store.feed import Feed
from tests.api.conftest import Answer, Caller

pytestmark = pytest.mark.usefixtures("views_are_awaited")

NOTHING_LISTENS_HERE = "http://user:hunter2@127.0.0.1:1"


def assert_error(answer: Answer, code: str) -> None:
    """The assertion for every error."""
    assert answer.status_code == next(error.status for error in ERRORS if error.code == code)
    assert answer.mimetype == "application/json"
    body = answer.json
    members = {"error", "reason", "request_id"} | ({"errors"} if answer.status_code == 400 else set())
    assert set(body) == members
    assert body["error"] == code
    assert re.fullmatch(r"[A-Z].*\.", body["reason"], re.DOTALL), body["reason"]
    assert body["request_id"] == answer.headers["X-Request-ID"]
    for fault in body.get("errors", []):
        assert set(fault) == {"location", "reason"}
    for secret in ("hunter2", "127.0.0.1", "Traceback", "couchdb", "werkzeug", "Exception"):
        assert secret not in answer.text
    assert ("WWW-Authenticate" in answer.headers) == (answer.status_code == 401)
    assert ("Allow" in answer.headers) == (answer.status_code == 405)
    assert ("Retry-After" in answer.headers) == (
        code in ("unavailable", "too_many_requests", "idempotency_in_progress")
    )


def broken(*_: object, **__: object) -> Any:
    """Fail like a bug."""
    raise RuntimeError("hunter2")


def taken(*_: object) -> str:
    """Refuse like CouchDB for an `_id` in use."""
    raise Conflict


def stale(ada: Caller) -> Answer:
    """Replace an item that has changed."""
    path = f"/documents/{ada.new_document()['id']}"
    tag = '"1-0123456789abcdef0123456789abcdef"'
    return ada.request("PUT", path, json={"title": "x"}, headers={"If-Match": tag})


def not_empty(ada: Caller) -> Answer:
    """Delete a project that holds a document."""
    project_id = ada.new_project()["id"]
    ada.new_document(project_id=project_id)
    return ada.request("DELETE", f"/projects/{project_id}")


Producer = Callable[[Caller], Answer]
JSON = "application/json"

PRODUCERS: list[tuple[str, Producer]] = [
    ("bad_request", lambda ada: ada.get("/documents", host="a b")),
    ("invalid_json", lambda ada: ada.request("POST", "/documents", data=b"{", content_type=JSON)),
    ("validation_failed", lambda ada: ada.post("/documents", {})),
    ("validation_failed", lambda ada: ada.get("/documents?limit=0")),
    ("validation_failed", lambda ada: ada.get("/documents?nope=1")),
    ("validation_failed", lambda ada: ada.post("/documents", {"title": "x", "project_id": 987654321})),
    ("invalid_cursor", lambda ada: ada.get("/documents?cursor=x")),
    ("invalid_cursor", lambda ada: ada.get("/changes?since=x")),
    ("unauthorized", lambda ada: Caller(ada.app, None).get("/documents")),
    ("unauthorized", lambda ada: Caller(ada.app, "YOUR_API_KEY").get("/documents")),
    ("not_found", lambda ada: ada.get("/documents/999999999")),
    ("precondition_failed", lambda ada: stale(ada)),
    ("project_not_empty", lambda ada: not_empty(ada)),
    ("not_found", lambda ada: ada.get("/nope")),
    ("not_found", lambda ada: ada.get("/reference/nope.js")),
    ("method_not_allowed", lambda ada: ada.request("DELETE", "/documents")),
    ("method_not_allowed", lambda ada: ada.request("BREW", "/")),
    ("not_acceptable", lambda ada: ada.get("/documents", accept="image/png")),
    ("not_acceptable", lambda ada: ada.get("/reference", accept="image/png")),
    ("too_large", lambda ada: ada.post("/documents", {"title": "x", "content": "x" * 2**20})),
    (
        "bad_content_type",
        lambda ada: ada.request("POST", "/documents", data=b"{}", content_type="text/plain"),
    ),
]


@pytest.mark.parametrize(("code", "produce"), PRODUCERS)
def test_a_client_error(ada: Caller, code: str, produce: Producer) -> None:
    assert_error(produce(ada), code)


def test_a_missing_scope(caller: Callable[..., Caller]) -> None:
    assert_error(caller("keys:manage").get("/documents"), "forbidden")


def test_too_many_requests(make_app: Callable[..., Application], ada: Caller) -> None:
    hurried = Caller(make_app(rate_limit=policies("read=1/hour,write=1/hour")), ada.key)
    assert hurried.get("/documents").status_code == 200
    assert_error(hurried.get("/documents"), "too_many_requests")


def test_a_cursor_that_cannot_be_continued(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    since = ada.get("/changes?since=now").json["next"]
    monkeypatch.setattr(Feed, "identity", lambda _: "that of a restored database")
    assert_error(ada.get(f"/changes?since={since}"), "gone")


def test_an_id_that_stays_taken(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    create = Database.create
    monkeypatch.setattr(
        Database, "create", lambda self, doc: taken() if doc["type"] == "document" else create(self, doc)
    )
    assert_error(ada.post("/documents", {"title": "x"}), "conflict")


def test_a_bug(ada: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(Database, "view", broken)
    # Without the header, the cache could answer from an earlier test.
    assert_error(ada.get("/documents", cache_control="no-cache"), "internal_server_error")
    assert "hunter2" in caplog.text, "the failure itself belongs in the log"


@pytest.fixture
def cut_off(make_app: Callable[..., Application]) -> Application:
    """The application without a database."""
    return make_app(couchdb_url=NOTHING_LISTENS_HERE)


@pytest.mark.parametrize("path", ["/documents", "/documents/1", "/projects/1/documents", "/readyz"])
def test_no_database(cut_off: Application, ada: Caller, path: str, caplog: pytest.LogCaptureFixture) -> None:
    assert_error(Caller(cut_off, ada.key).get(path), "unavailable")
    assert "hunter2" not in caplog.text


def test_a_database_that_hangs(
    make_app: Callable[..., Application], ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server accepts the connection and never answers; only the deadline ends the request."""
    monkeypatch.setattr(exchange, "TIMEOUT_SECONDS", 10_000.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app = make_app(couchdb_url=f"http://127.0.0.1:{silent.getsockname()[1]}", deadline=0.2)
        assert_error(Caller(app, ada.key).get("/documents"), "unavailable")


def test_the_process_lives_without_a_database(cut_off: Application) -> None:
    assert Caller(cut_off, None).get("/livez").status_code == 200

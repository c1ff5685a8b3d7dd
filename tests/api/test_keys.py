"""Keys: one refusal for every reason, and the operations of each scope."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from app import Application
from app.couch.connection import Connection
from app.domain.keys.key_text import compose
from app.domain.resources import now
from app.settings import Settings
from app.store import Database
from app.wiring import Services
from tests.api.conftest import Caller

OPERATIONS = [
    ("GET", "/documents", "documents:read"),
    ("POST", "/documents", "documents:write"),
    ("GET", "/documents/1", "documents:read"),
    ("GET", "/projects", "projects:read"),
    ("POST", "/projects", "projects:write"),
    ("GET", "/projects/1", "projects:read"),
    ("GET", "/projects/1/documents", "documents:read"),
    ("GET", "/keys", "keys:manage"),
    ("POST", "/keys", "keys:manage"),
    ("GET", "/keys/999999", "keys:manage"),
    ("POST", "/keys/999999/rotate", "keys:manage"),
    ("DELETE", "/keys/999999", "keys:manage"),
]


def unusable(services: Services, past: Services) -> dict[str, str | None]:
    """Return a key for each reason to refuse one."""
    yesterday = now() - timedelta(days=1)
    rotated, rotated_text = services.keys.create("rotated", ["documents:read"])
    services.keys.rotate(rotated.id, 0)
    revoked, revoked_text = services.keys.create("revoked", ["documents:read"])
    services.keys.revoke(revoked.id)
    good = services.keys.create("good", ["documents:read"])[1]
    return {
        "missing": None,
        "garbage": "YOUR_API_KEY",
        "unknown": compose("live", b"\x01" * 32),
        "mistyped": good[:-1] + ("a" if good[-1] != "a" else "b"),
        "rotated": rotated_text,
        "expired": past.keys.create("expired", ["documents:read"], expires_at=yesterday)[1],
        "revoked": revoked_text,
        "twice": f"{good},{good}",
    }


@pytest.fixture
def past(settings: Settings) -> Iterator[Services]:
    """The services with the clock of two days ago, to create keys that have expired since."""
    services = Services.build(settings, now=lambda: now() - timedelta(days=2))
    yield services
    services.close()


def test_every_unusable_key_gets_the_same_answer(app: Application, services: Services, past: Services) -> None:
    answers = set()
    for reason, key in unusable(services, past).items():
        answer = Caller(app, key).get("/documents")
        assert answer.status_code == 401, reason
        assert "WWW-Authenticate" in answer.headers
        body = dict(answer.json)
        assert body.pop("request_id") == answer.headers["X-Request-ID"]
        answers.add(json.dumps(body))
    assert len(answers) == 1


@pytest.mark.parametrize(("method", "path", "scope"), OPERATIONS)
def test_a_scope_opens_its_operation_and_its_absence_closes_it(
    app: Application, services: Services, method: str, path: str, scope: str
) -> None:
    others = [other for _, _, other in OPERATIONS if other != scope]
    lacking = Caller(app, services.keys.create("lacking", others)[1]).request(method, path)
    assert (lacking.status_code, lacking.json["error"]) == (403, "forbidden")
    having = Caller(app, services.keys.create("having", [scope])[1]).request(method, path)
    assert having.status_code not in (401, 403)


def test_authorisation_comes_first(nobody: Caller, caller: Callable[..., Caller]) -> None:
    for who, status in ((nobody, 401), (caller("keys:manage"), 403)):
        assert who.get("/documents/999999999").status_code == status
        assert who.get("/documents?limit=0").status_code == status
        assert who.request("POST", "/documents", data=b"{").status_code == status
        assert who.get("/documents", accept="image/png").status_code == status


def test_public_paths_need_no_key(nobody: Caller) -> None:
    for path in ("/", "/openapi.json", "/livez", "/readyz"):
        assert nobody.get(path).status_code == 200, path


def test_the_text_of_a_key_is_not_stored(services: Services, settings: Settings) -> None:
    key, text = services.keys.create("secret", ["documents:read"])
    connection = Connection(settings.couchdb_url)
    rows = connection.get(f"{settings.prefix}-keys", "_all_docs", params={"include_docs": True}).body["rows"]
    connection.close()
    stored = json.dumps(rows)
    assert f"key:{key.id:016d}" in stored
    assert text not in stored
    assert text[8:51] not in stored


def test_a_revocation_takes_effect_at_the_next_read_of_the_key(services: Services) -> None:
    key, text = services.keys.create("short-lived", ["documents:read"])
    assert services.keys.recognise(text) == key
    assert services.keys.revoke(key.id).revoked_at is not None
    revoked = services.keys.recognise(text)
    assert revoked is not None
    assert not revoked.is_alive(now())
    assert services.keys.revoke(key.id) == revoked


def test_every_well_formed_key_takes_the_same_number_of_reads(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the time of a refusal would distinguish unknown keys from ended ones."""
    reads: list[int] = []
    get_many = Database.get_many

    def counted(database: Database, doc_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        reads.append(len(doc_ids))
        return get_many(database, doc_ids)

    key, text = services.keys.create("ended", ["documents:read"])
    services.keys.revoke(key.id)
    monkeypatch.setattr(Database, "get_many", counted)
    services.keys.recognise(text)
    revoked, reads = reads, []
    assert services.keys.recognise(compose("live", b"\x02" * 32)) is None
    assert reads == revoked

"""The syntax of an Idempotency-Key, and the answers that are stored for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from app import Application
from app.domain.items import Items
from app.errors import Forbidden, ServiceError, TooManyRequests, Unauthorized
from app.services import Services
from tests.api.conftest import Caller
from tests.api.test_idempotency import same, send

# In quotes, a backslash stands before each quote and backslash, so that a key of this many fills its 255 characters.
BACKSLASHES = "\\" * 255


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256])
@pytest.mark.parametrize("form", ["{}", '"{}"'])
def test_an_unusable_key_is_located(ada: Caller, key: str, form: str) -> None:
    refused(ada, form.format(key))


@pytest.mark.parametrize("key", ['"', '"x', '"a"b"', '"a\\b"', '"a\\"', '"a";b', '"a","b"'])
def test_a_key_with_an_opening_quote_is_a_structured_fields_string(ada: Caller, key: str) -> None:
    refused(ada, key)


def refused(ada: Caller, key: str) -> None:
    """Check that a key is refused for its syntax."""
    answer = ada.request("POST", "/documents", json={"title": "x"}, headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert [fault["location"] for fault in answer.json["errors"]] == ["header.Idempotency-Key"]


@pytest.mark.parametrize(
    ("bare", "quoted"),
    [
        ('a"b', r'"a\"b"'),
        ('ab"', r'"ab\""'),
        (r"a\b", r'"a\\b"'),
        ("a\\", r'"a\\"'),
        (r"a\"b", r'"a\\\"b"'),
        (BACKSLASHES, f'"{BACKSLASHES * 2}"'),
        ("~!", '"~!"'),
    ],
)
def test_a_key_is_the_same_in_quotes(ada: Caller, bare: str, quoted: str) -> None:
    """A quoted key is a structured field's string (RFC 9651, section 3.3.3), and equals the bare one."""
    first, again = (send(ada, "POST", "/documents", {"title": "x"}, key) for key in (bare, quoted))
    assert first.status_code == 201
    assert same(first, again)


def test_a_refusal_is_kept(ada: Caller) -> None:
    key, value = secrets.token_hex(8), {"title": "One", "project_id": 987654321}
    first = send(ada, "POST", "/documents", value, key)
    assert first.status_code == 400
    assert same(first, send(ada, "POST", "/documents", value, key))
    missing = secrets.token_hex(8)
    first = send(ada, "PATCH", "/documents/987654321", {}, missing)
    assert first.status_code == 404
    assert same(first, send(ada, "PATCH", "/documents/987654321", {}, missing))


@pytest.mark.parametrize("error", [Unauthorized, Forbidden, TooManyRequests])
def test_a_refusal_of_the_caller_is_not_kept(
    ada: Caller, monkeypatch: pytest.MonkeyPatch, error: type[ServiceError]
) -> None:
    """Such a refusal is about the caller and not about the request, which may succeed later."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    key, value = secrets.token_hex(8), {"title": "x"}
    monkeypatch.setattr(Items, "create", refuse)
    assert send(ada, "POST", "/documents", value, key).status_code == error.status
    monkeypatch.undo()
    answer = send(ada, "POST", "/documents", value, key)
    assert (answer.status_code, "Idempotency-Replayed" in answer.headers) == (201, False)
    assert same(answer, send(ada, "POST", "/documents", value, key))


def test_a_403_is_not_stored_because_the_document_may_move_into_the_limits(
    ada: Caller, app: Application, services: Services
) -> None:
    """A document can move into the limits of a key while its 403 would still be stored."""
    own, document = ada.new_project()["id"], ada.new_document()["id"]
    limited = Caller(app, services.keys.create("limited", ["documents:write"], projects=[own])[1])
    path, key, value = f"/documents/{document}", secrets.token_hex(8), {"title": "mine"}
    assert send(limited, "PATCH", path, value, key).status_code == 403
    assert send(ada, "PATCH", path, {"project_id": own}).status_code == 200
    assert send(limited, "PATCH", path, value, key).status_code == 200


def test_a_refused_caller_leaves_no_record(caller: Callable[..., Caller], nobody: Caller, services: Services) -> None:
    """A later caller with the same Idempotency-Key makes the first request."""

    def records() -> set[str]:
        return {row.id for row in services.store["meta"].ids("idempotency:", "idempotency;", limit=1000)}

    before = records()
    for who, status in ((nobody, 401), (caller("documents:read"), 403)):
        assert send(who, "POST", "/documents", {"title": "x"}).status_code == status
    assert records() == before

"""Requests with an Idempotency-Key: carried out once, answered alike, and finished by a repetition."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from app import Application
from app.domain.idempotency import Idempotency
from app.domain.items import Items
from app.domain.resources import now
from app.errors import Unavailable
from app.services import Services
from app.store import Database
from app.store.confirmed_writes import ConfirmedWrites
from app.store.items import ItemWrite, StoredItem
from tests.api.conftest import Answer, Caller
from tests.api.crashes import Crash, crash, end_leases, then_crash


def send(
    caller: Caller, method: str, path: str, value: object = None, key: str | None = None, if_match: str | None = None
) -> Answer:
    """Send a request with an Idempotency-Key, a new one if none is given."""
    headers = {"Idempotency-Key": key or secrets.token_hex(8), **({"If-Match": if_match} if if_match else {})}
    return caller.request(method, path, headers=headers, **({} if value is None else {"json": value}))


def same(one: Answer, other: Answer) -> bool:
    """Return whether the second answer is a replay of the first."""
    own = {"X-Request-ID", "Idempotency-Replayed"}
    first, second = ({k: v for k, v in answer.headers.items() if k not in own} for answer in (one, other))
    return (one.status_code, one.data, first) == (other.status_code, other.data, second) and (
        one.headers.get("Idempotency-Replayed"),
        other.headers.get("Idempotency-Replayed"),
    ) == (None, "true")


def count(ada: Caller) -> int:
    """Return the number of documents."""
    return sum(len(page) for page in ada.walk("/documents?limit=1000"))


def test_a_creation_is_done_once(ada: Caller) -> None:
    before, value = count(ada), {"title": "Once", "content": "é"}
    answers = [send(ada, "POST", "/documents", value, key) for key in ("k-1", '"k-1"', "k-1")]
    assert answers[0].status_code == 201
    assert same(answers[0], answers[1])
    assert same(answers[0], answers[2])
    assert count(ada) == before + 1


def test_a_patch_and_a_copy_are_done_once(ada: Caller) -> None:
    path = f"/documents/{ada.new_document()['id']}"
    for method, value in (("PATCH", {"title": "Patched"}), ("COPY", None)):
        key = secrets.token_hex(8)
        first = send(ada, method, path, value, key)
        if method == "PATCH":
            assert send(ada, "PATCH", path, {"title": "Later"}).status_code == 200
        assert same(first, send(ada, method, path, value, key))
    assert ada.get(path).json["title"] == "Later"


@pytest.mark.parametrize("kind", ["documents", "projects"])
def test_a_copy_and_its_alias_are_one_operation(ada: Caller, kind: str) -> None:
    name = {"documents": "title", "projects": "name"}[kind]
    path = f"/{kind}/{ada.post(f'/{kind}', {name: 'Source'}).json['id']}"
    requests: list[tuple[str, str, Any]] = [
        ("COPY", path, None),
        ("POST", f"{path}/copy", None),
        ("POST", f"{path}/copy", {}),
    ]
    for first, second in itertools.permutations(requests, 2):
        key = secrets.token_hex(8)
        assert same(send(ada, *first, key), send(ada, *second, key))
        changed = ada.request(*second[:2], headers={"Idempotency-Key": key, "If-Unmodified-Since": "then"})
        assert (changed.status_code, changed.json["error"]) == (422, "idempotency_mismatch")


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [
        ("POST", "/documents", {"title": "Other"}),
        ("POST", "/projects", {"name": "One"}),
        ("PATCH", "/documents/1", {"title": "One"}),
    ],
)
def test_another_request_with_the_same_key_is_refused(ada: Caller, method: str, path: str, value: object) -> None:
    ada.new_document()
    key = secrets.token_hex(8)
    assert send(ada, "POST", "/documents", {"title": "One"}, key).status_code == 201
    answer = send(ada, method, path, value, key)
    assert (answer.status_code, answer.json["error"]) == (422, "idempotency_mismatch")


def test_a_condition_is_part_of_the_request(ada: Caller) -> None:
    made = ada.post("/documents", {"title": "One"})
    path, headers = f"/documents/{made.json['id']}", {"Idempotency-Key": secrets.token_hex(8)}
    tag = {"If-Match": made.headers["ETag"]}
    assert ada.request("PATCH", path, json={}, headers={**headers, **tag}).status_code == 200
    assert ada.request("PATCH", path, json={}, headers={**headers, **tag}).status_code == 200
    assert ada.request("PATCH", path, json={}, headers=headers).status_code == 422


def test_keys_of_different_principals_do_not_meet(ada: Caller, caller: Callable[..., Caller]) -> None:
    other, key = caller(), secrets.token_hex(8)
    first, second = (send(who, "POST", "/documents", {"title": "Mine"}, key) for who in (ada, other))
    assert first.json["id"] != second.json["id"]
    assert "Idempotency-Replayed" not in second.headers


def test_a_rotated_key_repeats_a_request_of_the_old_one(app: Application, services: Services) -> None:
    key, old = services.keys.create("rotated", ["documents:write"])
    name = secrets.token_hex(8)
    first = send(Caller(app, old), "POST", "/documents", {"title": "x"}, name)
    _, new = services.keys.rotate(key.id)
    assert same(first, send(Caller(app, new), "POST", "/documents", {"title": "x"}, name))


def test_many_at_once_make_one(ada: Caller) -> None:
    before, key = count(ada), secrets.token_hex(8)
    with ThreadPoolExecutor(8) as pool:
        tried = [pool.submit(send, ada, "POST", "/documents", {"title": "x"}, key) for _ in range(8)]
        answers = [one.result() for one in tried]
    created = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert len(created) + len(waiting) == 8
    assert len({answer.data for answer in created}) == 1
    for answer in waiting:
        assert answer.json["error"] == "idempotency_in_progress"
        assert int(answer.headers["Retry-After"]) >= 1
    assert count(ada) == before + 1


@pytest.mark.parametrize("moment", ["before", "after", "edited after"])
@pytest.mark.parametrize("method", ["POST", "COPY", "PATCH"])
def test_a_crash_is_finished_by_the_repetition(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch, moment: str, method: str
) -> None:
    source = ada.new_document("Source", content="text")["id"]
    path = "/documents" if method == "POST" else f"/documents/{source}"
    value: Any = {"POST": {"title": "One"}, "COPY": None, "PATCH": {"title": "One"}}[method]
    before, key = count(ada), secrets.token_hex(8)
    name = "update" if method == "PATCH" else "create"
    real, ids = getattr(Items, name), list[int]()

    def end(self: Items, *args: Any) -> Any:
        if moment != "before":
            result = real(self, *args)
            ids.append((result.after if method == "PATCH" else result).public_id)
        raise Crash

    monkeypatch.setattr(Items, name, end)
    with pytest.raises(Crash):
        send(ada, method, path, value, key)
    monkeypatch.undo()
    in_progress = send(ada, method, path, value, key)
    assert (in_progress.status_code, in_progress.json["error"]) == (409, "idempotency_in_progress")
    if moment == "edited after":
        assert ada.request("PATCH", f"/documents/{ids[0]}", json={"content": "edited"}).status_code == 200
    end_leases(services)
    answer = send(ada, method, path, value, key)
    assert answer.status_code == (200 if method == "PATCH" else 201)
    assert answer.json["title"] == ("Source" if method == "COPY" else "One")
    assert same(answer, send(ada, method, path, value, key))
    assert count(ada) == before + (method != "PATCH")
    if moment == "edited after":
        assert ada.get(f"/documents/{answer.json['id']}").json["content"] == "edited"


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_compacted_revision_is_an_unknown_outcome(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Others change the document after the crash, and the revision of the first run is compacted away."""
    key, name = secrets.token_hex(8), "create" if method == "POST" else "update"
    path = "/documents" if method == "POST" else f"/documents/{ada.new_document()['id']}"
    request = partial(send, ada, method, path, {"title": "One"}, key)
    monkeypatch.setattr(Items, name, then_crash(getattr(Items, name)))
    crash(services, monkeypatch, request)
    last = f"/documents/{ada.walk('/documents?limit=1000&order=desc')[0][0]['id']}"
    assert ada.request("PATCH", last, json={"content": "edited"}).status_code == 200
    monkeypatch.setattr(Database, "revisions", lambda *_: [])
    answer = request()
    monkeypatch.undo()
    assert (answer.status_code, answer.json["error"]) == (409, "outcome_unknown")
    assert same(answer, request())


def test_a_failed_request_can_be_repeated_at_once(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise Unavailable

    key = secrets.token_hex(8)
    monkeypatch.setattr(Items, "create", fail)
    assert send(ada, "POST", "/documents", {"title": "x"}, key).status_code == 503
    monkeypatch.undo()
    answer = send(ada, "POST", "/documents", {"title": "x"}, key)
    assert (answer.status_code, "Idempotency-Replayed" in answer.headers) == (201, False)


def test_a_key_that_was_shown_is_not_shown_again(ada: Caller, services: Services) -> None:
    name, value = secrets.token_hex(8), {"name": "once", "scopes": ["documents:read"]}
    first, second = (send(ada, "POST", "/keys", value, name) for _ in range(2))
    assert first.status_code == 201
    assert (second.status_code, second.json["error"]) == (409, "conflict")
    assert second.headers["Idempotency-Replayed"] == "true"
    assert f"key {first.json['id']}," in second.json["reason"]
    meta = services.store["meta"]
    records = [meta.get(row.id) for row in meta.ids("idempotency:", "idempotency;", limit=1000)]
    assert records
    assert first.json["key"] not in str(records)


def test_a_record_is_over_after_a_day(ada: Caller, services: Services) -> None:
    key = secrets.token_hex(8)
    first = send(ada, "POST", "/documents", {"title": "x"}, key)
    meta = services.store["meta"]
    records = [row.id for row in meta.ids("idempotency:", "idempotency;", limit=1000)]

    def tomorrow() -> Any:
        return now() + timedelta(hours=24, seconds=1)

    late = Idempotency(meta, 5.0, tomorrow)
    # A sweep does not wait for the index.
    meta.view("expiry", "by_time")
    assert late.sweep() == len(records)
    assert late.sweep() == 0
    assert meta.ids("idempotency:", "idempotency;", limit=1) == []
    again = send(ada, "POST", "/documents", {"title": "x"}, key)
    assert again.status_code == 201
    assert again.json["id"] != first.json["id"]
    assert Idempotency(meta, 5.0, now).sweep() == 0
    assert same(again, send(ada, "POST", "/documents", {"title": "x"}, key))


@pytest.mark.parametrize("method", ["POST", "COPY"])
def test_a_creation_is_done_even_if_its_source_and_project_were_deleted_since(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Between the crash and the repetition the document is moved, or deleted where it is a copy."""
    project_id = ada.new_project()["id"]
    source = ada.new_document("Source", project_id=project_id)["id"]
    key, create, ids = secrets.token_hex(8), Items.create, list[int]()
    path = "/documents" if method == "POST" else f"/documents/{source}"
    value = {"title": "One", "project_id": project_id} if method == "POST" else None
    request = partial(send, ada, method, path, value, key)

    def end(self: Items, *args: Any) -> Any:
        ids.append(create(self, *args).public_id)
        raise Crash

    monkeypatch.setattr(Items, "create", end)
    crash(services, monkeypatch, request)
    gone = [f"/documents/{source}", f"/projects/{project_id}"]
    if method == "POST":
        assert ada.request("PATCH", f"/documents/{ids[0]}", json={"project_id": None}).status_code == 200
    else:
        gone.insert(0, f"/documents/{ids[0]}")
    for each in gone:
        assert ada.request("DELETE", each).status_code == 204
    answer = request()
    assert (answer.status_code, answer.json.get("id")) == (201, ids[0])
    assert "project_id" not in ada.get(f"/documents/{ids[0]}").json


def test_a_key_whose_record_could_not_be_kept_is_shown(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key exists and its text cannot be shown again, so a rotation would leave the client without a key."""

    def fail(*_: Any) -> Any:
        raise Unavailable

    monkeypatch.setattr(Idempotency, "finish", fail)
    answer = send(ada, "POST", "/keys", {"name": "once", "scopes": ["documents:read"]})
    assert answer.status_code == 201
    assert answer.json["key"].startswith("ds_")


def test_an_answer_that_could_not_be_kept_can_be_asked_for_again_at_once(
    ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, key, store = count(ada), secrets.token_hex(8), ConfirmedWrites.store

    def fail(self: ConfirmedWrites, write: ItemWrite) -> StoredItem:
        if "answer" in write.fields:
            raise Unavailable
        return store(self, write)

    monkeypatch.setattr(ConfirmedWrites, "store", fail)
    first = send(ada, "POST", "/documents", {"title": "Kept"}, key)
    assert (first.status_code, first.json["error"]) == (503, "unavailable")
    assert "the same Idempotency-Key" in first.json["reason"]
    monkeypatch.undo()
    again, once_more = (send(ada, "POST", "/documents", {"title": "Kept"}, key) for _ in range(2))
    assert (again.status_code, once_more.status_code, once_more.data) == (201, 201, again.data)
    assert count(ada) == before + 1

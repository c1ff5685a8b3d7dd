"""Repeated requests whose first run was undone in part, or of which is not kept what it replaced."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from app import Application
from app.domain.access import SCOPES
from app.domain.clock import timestamp
from app.domain.documents import Documents
from app.domain.idempotency import Idempotency
from app.domain.items import Items
from app.domain.resource_types import DOCUMENT
from app.errors import Unavailable
from app.store import Database, DocumentFailure
from app.store import confirmed_writes as writes
from app.store.confirmed_writes import ConfirmedWrites
from app.wiring import Services
from tests.api.conftest import Caller, Mark, of_items
from tests.api.test_batches import create, outcomes, send, statuses
from tests.api.test_idempotency import Crash, end_leases
from tests.api.test_idempotency import send as send_one
from tests.api.test_repeated_batches import cut_off


def test_what_was_taken_back_is_not_called_done(ada: Caller, mark: Mark, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project is marked while documents come to it, the deletion gives way, and the batch is repeated."""
    monkeypatch.setattr(writes, "LOOKS", 1)
    home, away = (ada.new_project()["id"] for _ in range(2))
    moving, key = ada.new_document("Moving", project_id=home)["id"], secrets.token_hex(8)
    operations = [
        create("New", project_id=away),
        {"op": "patch", "id": moving, "value": {"project_id": away}},
        create("Failing"),
    ]
    write_many, stored = Database.write_many, list[str]()

    def meanwhile(self: Database, documents: list[dict[str, Any]]) -> Any:
        if not stored:
            mark(away, True)
            stored.extend(document["_id"] for document in documents)
        failing = {each["_id"]: DocumentFailure.UNKNOWN for each in documents if each.get("title") == "Failing"}
        return failing | write_many(self, [each for each in documents if each["_id"] not in failing])

    monkeypatch.setattr(Database, "write_many", of_items(meanwhile))
    assert [each["status"] for each in outcomes(send(ada, operations, Idempotency_Key=key))] == [409, 409, 503]
    monkeypatch.undo()
    assert ada.get(f"/documents/{moving}").json == {"id": moving, "title": "Moving", "project_id": home}
    mark(away, False)
    assert statuses(send(ada, operations, Idempotency_Key=key)) == [409, 200, 201]
    assert ada.get(f"/documents/{DOCUMENT.public_id(stored[0])}").status_code == 404
    assert ada.get(f"/documents/{moving}").json["project_id"] == away


def test_what_was_refused_is_not_tried_below_what_came_after_it(
    ada: Caller, mark: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "LOOKS", 1)
    project_id, one, key = ada.new_project()["id"], ada.new_document()["id"], secrets.token_hex(8)
    operations = [
        {"op": "patch", "id": one, "value": {"title": "first", "project_id": project_id}},
        {"op": "patch", "id": one, "value": {"title": "second"}},
        create("Failing"),
    ]
    write_many = Database.write_many

    def failing(self: Database, documents: list[dict[str, Any]]) -> Any:
        lost = {each["_id"]: DocumentFailure.UNKNOWN for each in documents if each["title"] == "Failing"}
        return lost | write_many(self, [each for each in documents if each["_id"] not in lost])

    mark(project_id, True)
    monkeypatch.setattr(Database, "write_many", of_items(failing))
    assert [each["status"] for each in outcomes(send(ada, operations, Idempotency_Key=key))] == [409, 200, 503]
    monkeypatch.undo()
    mark(project_id, False)
    assert statuses(send(ada, operations, Idempotency_Key=key)) == [409, 200, 201]
    assert ada.get(f"/documents/{one}").json == {"id": one, "title": "second"}


@pytest.mark.parametrize("limits", ["projects", "documents"])
@pytest.mark.parametrize("mode", ["hide", "forbid"])
@pytest.mark.parametrize("batch", [True, False])
def test_a_patch_of_which_is_not_kept_what_it_replaced_stays_where_it_is(
    ada: Caller,
    app: Application,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    batch: bool,
    mode: Any,
    limits: str,
) -> None:
    """A compaction has come between a request whose answer was lost and its repetition."""
    project_id = ada.new_project()["id"]
    one, key = ada.new_document("old", project_id=project_id), secrets.token_hex(8)
    reach = {"projects": [project_id]} if limits == "projects" else {"documents": [one["id"]]}
    few = Caller(app, services.keys.create("few", SCOPES, **reach, out_of_scope=mode)[1])  # type: ignore[arg-type]
    path, value = f"/documents/{one['id']}", {"title": "new"}

    def ask() -> list[int]:
        if batch:
            answer = send(few, [{"op": "patch", "id": one["id"], "value": value}], Idempotency_Key=key)
            return statuses(answer) if answer.status_code == 200 else [answer.status_code]
        return [send_one(few, "PATCH", path, value, key).status_code]

    name = "batch" if batch else "patch"
    monkeypatch.setattr(Documents, name, cut_off(getattr(Documents, name)))
    assert ask() == [503]
    monkeypatch.undo()
    revisions = Database.revisions
    monkeypatch.setattr(Database, "revisions", lambda *_: [])
    assert ask() == [200]
    monkeypatch.setattr(Database, "revisions", revisions)
    assert ada.get(path).json == {"id": one["id"], "title": "new", "project_id": project_id}


def test_a_creation_is_not_found_where_a_deleted_document_came_back(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id that was reserved turns out to be one of a deleted document, as after a restored backup of `-meta`."""
    key, reserved = secrets.token_hex(8), list[int]()

    def crash(_: Items, __: object, attempt: Any) -> Any:
        reserved.extend(attempt.ids)
        raise Crash

    monkeypatch.setattr(Items, "create", crash)
    monkeypatch.setattr(Idempotency, "release", lambda *_: None)
    assert send_one(ada, "POST", "/documents", {"title": "x"}, key).status_code == 500
    monkeypatch.undo()
    documents, [public_id] = services.store["documents"], reserved
    now, head = timestamp(), {"_id": DOCUMENT.doc_id(public_id), "type": "document", "id": public_id}
    first = documents.create({**head, "title": "Older", "created_at": now, "updated_at": now})
    documents.replace({**head, "_rev": first, "_deleted": True})
    end_leases(services)
    answer = send_one(ada, "POST", "/documents", {"title": "x"}, key)
    assert (answer.status_code, answer.json["error"]) == (409, "conflict")
    assert ada.get(f"/documents/{public_id}").status_code == 404


def test_a_deletion_of_a_project_goes_on_from_its_own_mark(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    project, key = ada.post("/projects", {"name": "x"}), secrets.token_hex(8)
    path = f"/projects/{project.json['id']}"
    operations = [{"op": "delete", "id": project.json["id"], "if_match": project.headers["ETag"]}]

    def fail(*_: Any, **__: Any) -> None:
        raise Unavailable

    monkeypatch.setattr(Items, "delete", fail)
    assert [each["status"] for each in outcomes(send(ada, operations, "projects", Idempotency_Key=key))] == [503]
    monkeypatch.undo()
    assert ada.get(path).status_code == 200
    assert statuses(send(ada, operations, "projects", Idempotency_Key=key)) == [204]
    assert ada.get(path).status_code == 404


def test_a_deletion_of_a_project_that_demanded_nothing_is_begun_anew(
    ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have changed the project since it was marked."""
    project_id, key = ada.new_project()["id"], secrets.token_hex(8)
    path, operations = f"/projects/{project_id}", [{"op": "delete", "id": project_id}]

    def fail(*_: Any, **__: Any) -> None:
        raise Unavailable

    monkeypatch.setattr(Items, "delete", fail)
    assert [each["status"] for each in outcomes(send(ada, operations, "projects", Idempotency_Key=key))] == [503]
    monkeypatch.undo()
    assert ada.request("PATCH", path, json={"name": "of others"}).status_code == 200
    assert statuses(send(ada, operations, "projects", Idempotency_Key=key)) == [204]
    assert ada.get(path).status_code == 404


def test_what_was_made_and_deleted_by_others_was_made(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the repetition the document is deleted, and then the project that it was in."""
    project_id, key, made = ada.new_project()["id"], secrets.token_hex(8), list[int]()
    real, value = Items.create, {"title": "x", "project_id": project_id}

    def crash(self: Items, *args: Any) -> Any:
        made.append(real(self, *args).public_id)
        raise Crash

    monkeypatch.setattr(Items, "create", crash)
    assert send_one(ada, "POST", "/documents", value, key).status_code == 500
    monkeypatch.undo()
    for path in (f"/documents/{made[0]}", f"/projects/{project_id}"):
        assert ada.request("DELETE", path).status_code == 204
    answer = send_one(ada, "POST", "/documents", value, key)
    assert (answer.status_code, answer.json["id"]) == (201, made[0])


def test_what_follows_an_operation_that_failed_is_not_done_before_it(
    ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "LOOKS", 1)
    one, other, key = ada.new_document()["id"], ada.new_document()["id"], secrets.token_hex(8)
    operations = [{"op": "patch", "id": each, "value": {"content": text}} for text in "ab" for each in (one, other)]
    path, write_many = f"document:{one:016}", Database.write_many

    def failing(self: Database, documents: list[dict[str, Any]]) -> Any:
        left = [document for document in documents if document["_id"] != path]
        return {path: DocumentFailure.UNKNOWN} | write_many(self, left)

    monkeypatch.setattr(Database, "write_many", of_items(failing))
    assert [each["status"] for each in outcomes(send(ada, operations, Idempotency_Key=key))] == [503, 200, 503, 200]
    monkeypatch.undo()
    assert statuses(send(ada, operations, Idempotency_Key=key)) == [200] * 4
    assert [ada.get(f"/documents/{each}").json["content"] for each in (one, other)] == ["b", "b"]


def test_a_move_that_was_cut_off_does_not_end_in_a_project_that_is_gone(
    ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project goes after it was looked at, the document moves, and the process ends before it looks again."""
    home, away = (ada.new_project()["id"] for _ in range(2))
    path = f"/documents/{ada.new_document('Moving', project_id=home)['id']}"
    key, change = secrets.token_hex(8), ConfirmedWrites.store

    def crash(self: ConfirmedWrites, document: dict[str, Any], *args: Any) -> Any:
        if document.get("project_id") != away:
            return change(self, document, *args)
        monkeypatch.undo()
        assert ada.request("DELETE", f"/projects/{away}").status_code == 204
        change(self, document, *args)
        raise Crash

    monkeypatch.setattr(ConfirmedWrites, "store", crash)
    assert send_one(ada, "PATCH", path, {"project_id": away}, key).status_code == 500
    assert ada.get(path).json["project_id"] == away
    assert send_one(ada, "PATCH", path, {"project_id": away}, key).status_code == 400
    assert ada.get(path).json["project_id"] == home

"""Writes of documents whose project is deleted meanwhile, and their repetition."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

import pytest

from app.domain.items import Items
from app.services import Services
from app.store import Database
from app.store.confirmed_writes import ConfirmedWrites
from app.store.items import ItemWrite
from tests.api.conftest import Caller, Mark
from tests.api.crashes import Crash, crash
from tests.api.test_idempotency import send


def current(caller: Caller, path: str) -> Any:
    """Return a document as the database has it."""
    return caller.request("GET", path, headers={"Cache-Control": "no-cache"}).json


@pytest.mark.parametrize("is_repeated", [False, True])
def test_changes_by_others_survive_the_undoing_of_a_creation(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch, is_repeated: bool
) -> None:
    """The project is deleted while the document comes, and others edit it before its second look or its repetition."""
    project_id, key, ids = ada.new_project()["id"], secrets.token_hex(8), list[int]()
    request = partial(send, ada, "POST", "/documents", {"title": "x", "project_id": project_id}, key)
    store = ConfirmedWrites.store

    def meanwhile(self: ConfirmedWrites, write: ItemWrite) -> Any:
        if write.fields.get("project_id") != project_id:
            return store(self, write)
        monkeypatch.undo()
        assert ada.request("DELETE", f"/projects/{project_id}").status_code == 204
        item = store(self, write)
        ids.append(item.public_id)
        assert ada.request("PATCH", f"/documents/{ids[0]}", json={"content": "of others"}).status_code == 200
        if is_repeated:
            raise Crash
        return item

    monkeypatch.setattr(ConfirmedWrites, "store", meanwhile)
    if is_repeated:
        crash(services, monkeypatch, request)
    assert request().status_code == 400
    assert current(ada, f"/documents/{ids[0]}") == {"id": ids[0], "title": "x", "content": "of others"}


def test_changes_by_others_survive_the_undoing_of_a_move(
    ada: Caller, mark: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document is moved and changed, another client replaces it with its own version, and its project is marked."""
    home, away = (ada.new_project()["id"] for _ in range(2))
    one = ada.post("/documents", {"title": "was", "content": "was", "project_id": home}).json["id"]
    path, update, theirs = f"/documents/{one}", Items.update, {"title": "theirs", "content": "mine"}

    def meanwhile(self: Items, *args: Any) -> Any:
        change = update(self, *args)
        monkeypatch.undo()
        tag = ada.get(path).headers["ETag"]
        replaced = ada.request("PUT", path, json={**theirs, "project_id": away}, headers={"If-Match": tag})
        assert replaced.status_code == 200
        mark(away, True)
        return change

    monkeypatch.setattr(Items, "update", meanwhile)
    refused = ada.request("PATCH", path, json={"title": "mine", "content": "mine", "project_id": away})
    assert refused.status_code == 409
    assert current(ada, path) == {"id": one, **theirs, "project_id": home}


def test_an_undone_creation_is_not_sent_again(
    ada: Caller, services: Services, mark: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run ends after it has undone its write; then the deletion of the project is withdrawn."""
    project_id, key = ada.new_project()["id"], secrets.token_hex(8)
    request = partial(send, ada, "POST", "/documents", {"title": "New", "project_id": project_id}, key)
    create, delete, ids = Database.create, Items.delete, list[str]()

    def marked_after(self: Database, document: dict[str, Any]) -> str:
        revision = create(self, document)
        if document.get("project_id") == project_id:
            ids.append(document["_id"])
            mark(project_id, True)
        return revision

    def end(self: Items, *args: Any, **options: Any) -> None:
        delete(self, *args, **options)
        raise Crash

    monkeypatch.setattr(Database, "create", marked_after)
    monkeypatch.setattr(Items, "delete", end)
    crash(services, monkeypatch, request)
    mark(project_id, False)
    answer = request()
    assert (answer.status_code, answer.json["error"]) == (409, "conflict")
    [winner] = services.store["documents"].winners(ids).values()
    assert (len(winner.lineage), winner.document["_deleted"]) == (2, True)


def test_a_move_that_crashed_is_not_left_in_a_project_that_is_deleted(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project is deleted after the first look, the document is moved, and the process ends before the second."""
    home, away = (ada.new_project()["id"] for _ in range(2))
    path, key = f"/documents/{ada.new_document('Moving', project_id=home)['id']}", secrets.token_hex(8)
    request, store = partial(send, ada, "PATCH", path, {"project_id": away}, key), ConfirmedWrites.store

    def end(self: ConfirmedWrites, write: ItemWrite) -> Any:
        if write.fields.get("project_id") != away:
            return store(self, write)
        monkeypatch.undo()
        assert ada.request("DELETE", f"/projects/{away}").status_code == 204
        store(self, write)
        raise Crash

    monkeypatch.setattr(ConfirmedWrites, "store", end)
    crash(services, monkeypatch, request)
    assert ada.get(path).json["project_id"] == away
    assert request().status_code == 400
    assert ada.get(path).json["project_id"] == home

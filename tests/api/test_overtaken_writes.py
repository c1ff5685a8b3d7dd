"""Writes that meet what others did between a read and the write, or between the write and its second look."""

from __future__ import annotations

import secrets
from typing import Any, NoReturn

import pytest

from app import Application
from app.domain.access import SCOPES
from app.domain.documents import Documents
from app.domain.items import Items
from app.domain.resource_types import DOCUMENT
from app.errors import Unavailable, Unconfirmed
from app.store import Database
from app.store import confirmed_writes as writes
from app.wiring import Services
from tests.api.conftest import Caller, Mark, of_items
from tests.api.test_batches import outcomes, send
from tests.api.test_idempotency import Crash
from tests.api.test_idempotency import send as send_one


def now(caller: Caller, path: str) -> Any:
    """Return a document as the database has it."""
    return caller.request("GET", path, headers={"Cache-Control": "no-cache"}).json


@pytest.mark.parametrize("batch", [False, True])
def test_a_patch_is_not_composed_on_another_revision_than_it_names(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch, batch: bool
) -> None:
    """A node that lags answers the read, and one that does not would take the write."""
    one = ada.post("/documents", {"title": "old"}).json["id"]
    path, doc_id = f"/documents/{one}", DOCUMENT.doc_id(one)
    lagging = services.store["documents"].get(doc_id)
    tag = ada.request("PATCH", path, json={"content": "acknowledged"}).headers["ETag"]
    monkeypatch.setattr(Database, "get", lambda *_, **__: lagging)
    monkeypatch.setattr(Database, "get_many", lambda *_: {doc_id: lagging})
    if batch:
        answer = send(ada, [{"op": "patch", "id": one, "value": {"title": "new"}, "if_match": tag}])
        found = [each["status"] for each in outcomes(answer)]
    else:
        found = [ada.request("PATCH", path, json={"title": "new"}, headers={"If-Match": tag}).status_code]
    monkeypatch.undo()
    assert found == [412]
    assert now(ada, path) == {"id": one, "title": "old", "content": "acknowledged"}


@pytest.mark.parametrize("repeated", [False, True])
def test_what_others_made_of_a_creation_is_not_taken_back_with_it(
    ada: Caller, monkeypatch: pytest.MonkeyPatch, repeated: bool
) -> None:
    """The project goes while the document comes, and others edit it before its second look or its repetition."""
    project_id, key, made = ada.new_project()["id"], secrets.token_hex(8), list[int]()
    create = Items.create

    def meanwhile(self: Items, *args: Any) -> Any:
        monkeypatch.undo()
        assert ada.request("DELETE", f"/projects/{project_id}").status_code == 204
        item = create(self, *args)
        made.append(item.public_id)
        assert ada.request("PATCH", f"/documents/{made[0]}", json={"content": "of others"}).status_code == 200
        if repeated:
            raise Crash
        return item

    monkeypatch.setattr(Items, "create", meanwhile)
    answer = send_one(ada, "POST", "/documents", {"title": "x", "project_id": project_id}, key)
    if repeated:
        assert answer.status_code == 500
        answer = send_one(ada, "POST", "/documents", {"title": "x", "project_id": project_id}, key)
    assert answer.status_code == 400
    assert now(ada, f"/documents/{made[0]}") == {"id": made[0], "title": "x", "content": "of others"}


def test_what_others_wrote_again_of_a_move_stays_where_it_is_moved_back(
    ada: Caller, mark: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document is moved and changed, others replace it with what they read, and its project begins to go."""
    home, away = (ada.new_project()["id"] for _ in range(2))
    one = ada.post("/documents", {"title": "was", "content": "was", "project_id": home}).json["id"]
    path, change, theirs = f"/documents/{one}", Items.change, {"title": "theirs", "content": "mine"}

    def meanwhile(self: Items, *args: Any) -> Any:
        done = change(self, *args)
        monkeypatch.undo()
        tag = ada.get(path).headers["ETag"]
        replaced = ada.request("PUT", path, json={**theirs, "project_id": away}, headers={"If-Match": tag})
        assert replaced.status_code == 200
        mark(away, True)
        return done

    monkeypatch.setattr(Items, "change", meanwhile)
    refused = ada.request("PATCH", path, json={"title": "mine", "content": "mine", "project_id": away})
    assert refused.status_code == 409
    assert now(ada, path) == {"id": one, **theirs, "project_id": home}


@pytest.mark.parametrize(("batch", "reading"), [(False, "histories"), (False, "find"), (True, "histories")])
def test_a_move_that_arrives_during_its_repetition_is_looked_after(
    ada: Caller, monkeypatch: pytest.MonkeyPatch, batch: bool, reading: str
) -> None:
    """The repetition finds nothing done, then the first run's write arrives, and its project goes."""
    monkeypatch.setattr(writes, "LOOKS", 0)
    home, away = (ada.new_project()["id"] for _ in range(2))
    one, key = ada.new_document("Moving", project_id=home)["id"], secrets.token_hex(8)
    path, value, late = f"/documents/{one}", {"project_id": away}, list[tuple[Database, dict[str, Any]]]()
    replace, write_many, read = Database.replace, Database.write_many, getattr(Items, reading)

    def ask() -> list[int]:
        if not batch:
            return [send_one(ada, "PATCH", path, value, key).status_code]
        answer = send(ada, [{"op": "patch", "id": one, "value": value}], Idempotency_Key=key)
        return [each["status"] for each in outcomes(answer)]

    def held(self: Database, document: dict[str, Any]) -> str:
        if document.get("project_id") != away:
            return replace(self, document)
        late.append((self, document))
        raise Unconfirmed

    def held_of_many(self: Database, documents: list[dict[str, Any]]) -> Any:
        if documents[0].get("project_id") != away:
            return write_many(self, documents)
        late.append((self, documents[0]))
        raise Unconfirmed

    def arriving(self: Items, *args: Any) -> Any:
        found = read(self, *args)
        if self.resource_type is DOCUMENT:
            monkeypatch.undo()
            assert ada.request("DELETE", f"/projects/{away}").status_code == 204
            replace(*late[0])
        return found

    monkeypatch.setattr(Database, "replace", held)
    monkeypatch.setattr(Database, "write_many", of_items(held_of_many))
    assert ask() == [503]
    monkeypatch.setattr(Database, "replace", replace)
    monkeypatch.setattr(Database, "write_many", write_many)
    monkeypatch.setattr(Items, reading, arriving)
    assert ask() == [400]
    assert now(ada, path)["project_id"] == home


def test_a_repetition_says_that_it_may_have_stored_something(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its write has no answer, and nothing that is read after it has one."""
    monkeypatch.setattr(writes, "LOOKS", 0)
    path, key = f"/documents/{ada.new_document('Changing')['id']}", secrets.token_hex(8)
    replace, write, sent = Database.replace, {"title": "x"}, list[str]()

    def lost(self: Database, document: dict[str, Any]) -> str:
        revision = replace(self, document)
        if document.get("type") != "document":
            return revision
        sent.append(revision)
        raise Unconfirmed

    def down(*_: object) -> NoReturn:
        raise Unavailable

    monkeypatch.setattr(Items, "change", down)
    assert send_one(ada, "PATCH", path, write, key).status_code == 503
    monkeypatch.undo()
    monkeypatch.setattr(writes, "LOOKS", 0)
    leaves = Database.leaves
    monkeypatch.setattr(Database, "replace", lost)
    monkeypatch.setattr(Database, "leaves", lambda *args: down() if sent else leaves(*args))
    answer = send_one(ada, "PATCH", path, write, key)
    assert (answer.status_code, answer.json["reason"]) == (503, Unconfirmed.reason)


def test_a_creation_that_arrives_while_its_repetition_is_refused_is_taken_back(
    ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run's write is still on its way when its project goes, and arrives after the repetition has looked."""
    monkeypatch.setattr(writes, "LOOKS", 0)
    project_id, key, late = ada.new_project()["id"], secrets.token_hex(8), list[tuple[Database, dict[str, Any]]]()
    value, database_create, look = {"title": "x", "project_id": project_id}, Database.create, Documents.require_possible

    def held(self: Database, document: dict[str, Any]) -> str:
        if document.get("project_id") != project_id:
            return database_create(self, document)
        late.append((self, document))
        raise Unconfirmed

    def arriving(self: Documents, *args: Any) -> None:
        monkeypatch.undo()
        database_create(*late[0])
        look(self, *args)

    monkeypatch.setattr(Database, "create", held)
    assert send_one(ada, "POST", "/documents", value, key).status_code == 503
    monkeypatch.setattr(Database, "create", database_create)
    assert ada.request("DELETE", f"/projects/{project_id}").status_code == 204
    monkeypatch.setattr(Documents, "require_possible", arriving)
    assert send_one(ada, "POST", "/documents", value, key).status_code == 400
    assert ada.get(f"/documents/{late[0][1]['id']}").status_code == 404


@pytest.mark.parametrize(("mode", "status"), [("hide", 404), ("forbid", 403)])
@pytest.mark.parametrize("batch", [False, True])
def test_the_tag_of_what_left_the_reach_of_a_key_is_not_told(
    ada: Caller,
    app: Application,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    batch: bool,
    mode: Any,
    status: int,
) -> None:
    """The document is moved by others between the read and the conditional write of a limited key."""
    inside, outside = (ada.new_project()["id"] for _ in range(2))
    one = ada.post("/documents", {"title": "x", "project_id": inside})
    path, tag = f"/documents/{one.json['id']}", one.headers["ETag"]
    few = Caller(app, services.keys.create("few", SCOPES, projects=[inside], out_of_scope=mode)[1])
    name = "find_many" if batch else "find"
    find = getattr(Items, name)

    def overtaken(self: Items, wanted: Any) -> Any:
        found = find(self, wanted)
        if self.resource_type is DOCUMENT:
            monkeypatch.undo()
            assert ada.request("PATCH", path, json={"project_id": outside}).status_code == 200
        return found

    monkeypatch.setattr(Items, name, overtaken)
    if batch:
        answer = send(few, [{"op": "patch", "id": one.json["id"], "value": {"title": "y"}, "if_match": tag}])
        [outcome] = outcomes(answer)
        assert outcome["status"] == status
        assert "etag" not in outcome
    else:
        refused = few.request("PATCH", path, json={"title": "y"}, headers={"If-Match": tag})
        assert refused.status_code == status
        assert "ETag" not in refused.headers
    assert now(ada, path)["title"] == "x"

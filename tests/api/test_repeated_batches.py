"""Batches that are repeated with their Idempotency-Key after a crash: done steps are recognised, others are done."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

import pytest

from app.domain.documents import Documents
from app.domain.items import Items
from app.domain.projects import Projects
from app.errors import Unavailable
from app.services import Services
from app.store import Database, DocumentFailure, confirmed_writes
from app.store.exchange import Exchange
from tests.api.conftest import Caller, Mark, of_items
from tests.api.crashes import Crash, crash, then_fail
from tests.api.test_batches import create, outcomes, send, statuses

Outcomes = list[tuple[int, str | None]]


def results(caller: Caller, operations: list[dict[str, Any]], kind: str = "documents", **headers: str) -> Outcomes:
    """Send a batch; return the status and the error of each outcome."""
    answer = send(caller, operations, kind, **headers)
    return [(outcome["status"], outcome.get("error")) for outcome in outcomes(answer)]


UNKNOWN = (409, "outcome_unknown")


def test_a_batch_is_repeated_as_a_whole(ada: Caller) -> None:
    document, key = ada.new_document()["id"], secrets.token_hex(8)
    operations = [create("once"), {"op": "patch", "id": document, "value": {"title": "once"}}]
    first, second = (send(ada, operations, Idempotency_Key=key) for _ in range(2))
    assert (first.data, second.headers["Idempotency-Replayed"]) == (second.data, "true")
    assert send(ada, [create("other")], Idempotency_Key=key).status_code == 422


@pytest.mark.parametrize("stored", [0, 1, 2, 3])
def test_a_batch_that_crashed_is_finished(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch, stored: int
) -> None:
    """The process ends when ``stored`` of three documents are stored."""
    document, key = ada.new_document("old", content="old")["id"], secrets.token_hex(8)
    before = sum(len(page) for page in ada.walk("/documents?limit=1000"))
    operations = [create("one"), create("two"), {"op": "patch", "id": document, "value": {"title": "new"}}]
    write_many = Database.write_many

    def end(self: Database, documents: list[dict[str, Any]]) -> Any:
        write_many(self, documents[:stored])
        raise Crash

    monkeypatch.setattr(Database, "write_many", of_items(end))
    crash(services, monkeypatch, partial(send, ada, operations, Idempotency_Key=key))
    answer = send(ada, operations, Idempotency_Key=key)
    assert statuses(answer) == [201, 201, 200]
    assert sum(len(page) for page in ada.walk("/documents?limit=1000")) == before + 2
    assert ada.get(f"/documents/{document}").json == {"id": document, "title": "new", "content": "old"}
    assert send(ada, operations, Idempotency_Key=key).data == answer.data


def test_done_steps_are_found_and_proven_in_few_requests(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    operations, key, requests = [create(str(number)) for number in range(20)], secrets.token_hex(8), []
    monkeypatch.setattr(Documents, "batch", then_fail(Documents.batch))
    assert send(ada, operations, Idempotency_Key=key).status_code == 503
    monkeypatch.undo()
    send_request = Exchange._ask

    def counted(self: Exchange, method: str, path: tuple[str, ...], *args: Any, **options: Any) -> Any:
        requests.extend([path[-1]] if self.name.endswith("-documents") and path != ("_changes",) else [])
        return send_request(self, method, path, *args, **options)

    monkeypatch.setattr(Exchange, "_ask", counted)
    answer = send(ada, operations, Idempotency_Key=key)
    monkeypatch.undo()
    assert statuses(answer) == [201] * 20
    assert requests == ["_all_docs", "_bulk_get", "_bulk_docs"]
    for outcome in outcomes(answer):
        assert outcome["etag"].startswith('"2-')
        assert ada.get(f"/documents/{outcome['id']}").headers["ETag"] == outcome["etag"]


def test_a_step_is_unknown_once_others_have_changed_its_item(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    changed, untouched, key = ada.new_document()["id"], ada.new_document()["id"], secrets.token_hex(8)
    operations = [{"op": "patch", "id": each, "value": {"title": "batch"}} for each in (changed, untouched)]
    monkeypatch.setattr(Documents, "batch", then_fail(Documents.batch))
    assert send(ada, operations, Idempotency_Key=key).status_code == 503
    monkeypatch.undo()
    assert ada.request("PATCH", f"/documents/{changed}", json={"title": "others"}).status_code == 200
    answer = send(ada, operations, Idempotency_Key=key)
    assert [(each["status"], each.get("error")) for each in outcomes(answer)] == [UNKNOWN, (200, None)]
    assert ada.get(f"/documents/{changed}").json["title"] == "others"
    assert send(ada, operations, Idempotency_Key=key).data == answer.data


def test_of_the_steps_on_one_item_the_last_done_one_is_known(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    one, key, rounds = ada.new_document()["id"], secrets.token_hex(8), list[int]()
    operations = [{"op": "patch", "id": one, "value": {name: name}} for name in ("title", "content")]
    operations.append({"op": "delete", "id": one})
    write_many = Database.write_many

    def failing(self: Database, documents: list[dict[str, Any]]) -> Any:
        rounds.append(len(documents))
        if len(rounds) > 2:
            raise Unavailable
        return write_many(self, documents)

    monkeypatch.setattr(confirmed_writes, "MAX_RESENDS", 0)
    monkeypatch.setattr(Database, "write_many", of_items(failing))
    assert results(ada, operations, Idempotency_Key=key) == [(200, None), (200, None), (503, "unavailable")]
    monkeypatch.undo()
    assert results(ada, operations, Idempotency_Key=key) == [UNKNOWN, (200, None), (204, None)]


@pytest.mark.parametrize(("kind", "service"), [("documents", Documents), ("projects", Projects)])
def test_a_deletion_is_done_when_it_is_repeated(
    ada: Caller, monkeypatch: pytest.MonkeyPatch, kind: str, service: type[Documents | Projects]
) -> None:
    name, key = {"documents": "title", "projects": "name"}[kind], secrets.token_hex(8)
    one = ada.post(f"/{kind}", {name: "x"}).json["id"]
    operations = [{"op": "delete", "id": one}]
    monkeypatch.setattr(service, "batch", then_fail(service.batch))
    assert send(ada, operations, kind, Idempotency_Key=key).status_code == 503
    monkeypatch.undo()
    assert results(ada, operations, kind, Idempotency_Key=key) == [(204, None)]
    # A deletion by others was not done by the batch.
    assert results(ada, operations, kind, Idempotency_Key=secrets.token_hex(8)) == [(404, "not_found")]


def test_a_step_after_one_that_failed_is_not_done_before_it(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmed_writes, "MAX_RESENDS", 1)
    one, key, write_many = ada.new_document()["id"], secrets.token_hex(8), Database.write_many
    operations = [create("done"), *({"op": "patch", "id": one, "value": {"content": text}} for text in "ab")]
    doc_id = f"document:{one:016}"

    def failing(self: Database, documents: list[dict[str, Any]]) -> Any:
        others = [document for document in documents if document["_id"] != doc_id]
        return {doc_id: DocumentFailure.UNKNOWN} | write_many(self, others)

    monkeypatch.setattr(Database, "write_many", of_items(failing))
    answer = send(ada, operations, Idempotency_Key=key)
    assert [outcome["status"] for outcome in outcomes(answer)] == [201, 503, 503]
    monkeypatch.undo()
    # An answer with a 503 in it is not kept.
    again = send(ada, operations, Idempotency_Key=key)
    assert statuses(again) == [201, 200, 200]
    assert outcomes(again)[0]["id"] == outcomes(answer)[0]["id"]
    assert ada.get(f"/documents/{one}").json["content"] == "b"


def test_a_creation_that_crashed_is_not_left_in_a_project_that_is_deleted(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project is deleted after the first look, the document is stored, and the process ends before the second."""
    project_id, key, write_many = ada.new_project()["id"], secrets.token_hex(8), Database.write_many
    operations = [create("Late", project_id=project_id)]

    def end(self: Database, documents: list[dict[str, Any]]) -> Any:
        assert ada.request("DELETE", f"/projects/{project_id}").status_code == 204
        write_many(self, documents)
        raise Crash

    monkeypatch.setattr(Database, "write_many", of_items(end))
    crash(services, monkeypatch, partial(send, ada, operations, Idempotency_Key=key))
    assert results(ada, operations, Idempotency_Key=key) == [(400, "validation_failed")]
    assert ada.get(f"/documents?project_id={project_id}").json == []


def test_an_undone_creation_is_a_conflict_and_an_undone_move_is_done_again(
    ada: Caller, mark: Mark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project is marked while documents come, its deletion is withdrawn, and the batch is repeated."""
    monkeypatch.setattr(confirmed_writes, "MAX_RESENDS", 1)
    home, away = (ada.new_project()["id"] for _ in range(2))
    moving, key = ada.new_document("Moving", project_id=home)["id"], secrets.token_hex(8)
    move = {"op": "patch", "id": moving, "value": {"project_id": away}}
    operations, write_many = [create("New", project_id=away), move, create("Failing")], Database.write_many
    stored: list[str] = []

    def meanwhile(self: Database, documents: list[dict[str, Any]]) -> Any:
        if not stored:
            mark(away, True)
            stored.extend(document["_id"] for document in documents)
        failing = {each["_id"]: DocumentFailure.UNKNOWN for each in documents if each.get("title") == "Failing"}
        return failing | write_many(self, [each for each in documents if each["_id"] not in failing])

    monkeypatch.setattr(Database, "write_many", of_items(meanwhile))
    first = results(ada, operations, Idempotency_Key=key)
    assert first == [(409, "conflict"), (409, "conflict"), (503, "unavailable")]
    monkeypatch.undo()
    assert ada.get(f"/documents/{moving}").json == {"id": moving, "title": "Moving", "project_id": home}
    mark(away, False)
    assert results(ada, operations, Idempotency_Key=key) == [(409, "conflict"), (200, None), (201, None)]
    assert [each["id"] for each in ada.get(f"/projects/{away}/documents").json] == [moving]


@pytest.mark.parametrize("is_conditional", [True, False])
def test_a_deletion_of_a_project_continues_after_its_own_mark(
    ada: Caller, monkeypatch: pytest.MonkeyPatch, is_conditional: bool
) -> None:
    """Without a condition it is marked again, also where others have changed the project since."""
    project, key = ada.post("/projects", {"name": "x"}), secrets.token_hex(8)
    path = f"/projects/{project.json['id']}"
    condition = {"if_match": project.headers["ETag"]} if is_conditional else {}
    operations = [{"op": "delete", "id": project.json["id"], **condition}]

    def fail(*_: Any, **__: Any) -> None:
        raise Unavailable

    monkeypatch.setattr(Items, "delete", fail)
    assert results(ada, operations, "projects", Idempotency_Key=key) == [(503, "unavailable")]
    monkeypatch.undo()
    if not is_conditional:
        assert ada.request("PATCH", path, json={"name": "of others"}).status_code == 200
    assert results(ada, operations, "projects", Idempotency_Key=key) == [(204, None)]
    assert ada.get(path).status_code == 404


def test_a_deletion_of_a_project_that_arrives_after_the_first_look_is_done(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations, key = [{"op": "delete", "id": ada.new_project()["id"]}], secrets.token_hex(8)
    late: list[partial[None]] = []
    delete_item, delete_project = Items.delete, Projects.delete

    def hold(*args: Any, **kwargs: Any) -> None:
        late.append(partial(delete_item, *args, **kwargs))
        raise Crash

    def arrive_first(*args: Any, **kwargs: Any) -> None:
        late[0]()
        delete_project(*args, **kwargs)

    monkeypatch.setattr(Items, "delete", hold)
    crash(services, monkeypatch, partial(send, ada, operations, "projects", Idempotency_Key=key))
    monkeypatch.setattr(Projects, "delete", arrive_first)
    assert results(ada, operations, "projects", Idempotency_Key=key) == [(204, None)]

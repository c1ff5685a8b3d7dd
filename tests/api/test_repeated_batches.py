"""Batches that come again with their Idempotency-Key: what was done is known, and the rest is done."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from app.domain.documents import Documents
from app.domain.idempotency import Idempotency
from app.domain.items import Items
from app.domain.projects import Projects
from app.errors import Unavailable
from app.store import Database
from app.store import confirmed_writes as writes
from app.store.exchange import Exchange
from app.wiring import Services
from tests.api.conftest import Caller, of_items
from tests.api.test_batches import create, outcomes, send, statuses
from tests.api.test_idempotency import end_leases


@pytest.mark.parametrize("op", ["patch", "replace"])
def test_what_was_run_again_alone_is_known_when_it_is_repeated(
    ada: Caller, monkeypatch: pytest.MonkeyPatch, op: str
) -> None:
    document, key = ada.new_document()["id"], secrets.token_hex(8)
    path, write_many = f"/documents/{document}", Database.write_many
    operations = [{"op": op, "id": document, "value": {"title": "batch"}}]

    def overtaken(self: Database, documents: list[dict[str, Any]]) -> Any:
        assert ada.request("PATCH", path, json={"content": "1"}).status_code == 200
        return write_many(self, documents)

    monkeypatch.setattr(Database, "write_many", of_items(overtaken))
    monkeypatch.setattr(Documents, "batch", cut_off(Documents.batch))
    assert send(ada, operations, Idempotency_Key=key).status_code == 503
    monkeypatch.undo()
    assert ada.get(path).json["title"] == "batch"
    assert ada.request("PATCH", path, json={"title": "later"}).status_code == 200
    assert statuses(send(ada, operations, Idempotency_Key=key)) == [200]
    assert ada.get(path).json["title"] == "later"


def test_what_is_done_is_seen_without_reading_each(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    operations = [create(str(number)) for number in range(20)]
    key, get, read = secrets.token_hex(8), Database.get, []

    def counted(self: Database, doc_id: str, **options: Any) -> Any:
        read.extend([doc_id] if doc_id.startswith("document:") else [])
        return get(self, doc_id, **options)

    monkeypatch.setattr(Documents, "batch", cut_off(Documents.batch))
    assert send(ada, operations, Idempotency_Key=key).status_code == 503
    monkeypatch.undo()
    monkeypatch.setattr(Database, "get", counted)
    assert statuses(send(ada, operations, Idempotency_Key=key)) == [201] * 20
    assert read == []


def test_what_others_went_on_from_is_found_in_few_requests(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of forty documents, one was changed thirty times by the batch, and all of them by others afterwards."""
    documents, key = [ada.new_document()["id"] for _ in range(40)], secrets.token_hex(8)
    changed = [*documents, *documents[:1] * 29]
    operations = [{"op": "patch", "id": each, "value": {"content": str(n)}} for n, each in enumerate(changed)]
    monkeypatch.setattr(Documents, "batch", cut_off(Documents.batch))
    assert send(ada, operations, Idempotency_Key=key).status_code == 503
    monkeypatch.undo()
    later = [{"op": "patch", "id": each, "value": {"content": "later"}} for each in documents]
    assert statuses(send(ada, later)) == [200] * 40
    requests, answered = [], Exchange._answer

    def counted(self: Exchange, method: str, path: tuple[str, ...], **options: Any) -> Any:
        requests.extend([path] if self.name.endswith("-documents") and path != ("_changes",) else [])
        return answered(self, method, path, **options)

    monkeypatch.setattr(Exchange, "_answer", counted)
    assert statuses(send(ada, operations, Idempotency_Key=key)) == [200] * len(operations)
    # Two for what is current, and one for each of the thirty that are below it and for what was before them.
    assert len(requests) <= 2 + 31 + 1
    monkeypatch.undo()
    assert {ada.get(f"/documents/{each}").json["content"] for each in documents} == {"later"}


@pytest.mark.parametrize("kind", ["documents", "projects"])
def test_a_deletion_is_done_though_it_is_repeated(ada: Caller, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    noun: Any = {"documents": Documents, "projects": Projects}[kind]
    name, key = {"documents": "title", "projects": "name"}[kind], secrets.token_hex(8)
    ids = [ada.post(f"/{kind}", {name: "x"}).json["id"] for _ in range(3)]
    operations = [
        {"op": "patch", "id": ids[0], "value": {name: "changed"}},
        *({"op": "delete", "id": each} for each in ids[:2]),
    ]
    monkeypatch.setattr(noun, "batch", cut_off(noun.batch))
    assert send(ada, operations, kind, Idempotency_Key=key).status_code == 503
    monkeypatch.undo()
    assert statuses(send(ada, operations, kind, Idempotency_Key=key)) == [200, 204, 204]
    assert [ada.get(f"/{kind}/{each}").status_code for each in ids] == [404, 404, 200]
    # What others deleted was not done by the batch.
    assert statuses(send(ada, operations[1:2], kind, Idempotency_Key=secrets.token_hex(8))) == [404]


def test_what_may_be_on_few_nodes_is_stored_for_certain(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    key, operations = secrets.token_hex(8), [create("one"), create("two")]
    monkeypatch.setattr(Documents, "batch", cut_off(Documents.batch))
    assert send(ada, operations, Idempotency_Key=key).status_code == 503
    monkeypatch.undo()
    for outcome in outcomes(send(ada, operations, Idempotency_Key=key)):
        assert outcome["etag"].startswith('"2-')
        assert ada.get(f"/documents/{outcome['id']}").headers["ETag"] == outcome["etag"]


@pytest.mark.parametrize("operation", [{"if_match": True}, {}])
def test_a_first_run_that_arrives_during_the_second_counts(
    ada: Caller, monkeypatch: pytest.MonkeyPatch, operation: dict[str, Any]
) -> None:
    """It was under way when it was looked for, and has arrived when the second is written."""
    document, key = ada.post("/documents", {"title": "x"}), secrets.token_hex(8)
    one = document.json["id"]
    condition = {"if_match": document.headers["ETag"]} if operation else {}
    operations = [{"op": "patch", "id": one, "value": {"title": "once"}, **condition}]
    monkeypatch.setattr(Documents, "batch", cut_off(Documents.batch))
    assert send(ada, operations, Idempotency_Key=key).status_code == 503
    monkeypatch.undo()

    def blind(*_: Any) -> dict[int, Any]:
        monkeypatch.undo()
        return {}

    monkeypatch.setattr(Items, "histories", blind)
    assert statuses(send(ada, operations, Idempotency_Key=key)) == [200]


def test_a_creation_that_was_cut_off_is_in_a_project_that_is_there(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project goes after it was looked at, the document is stored, and the process ends before it looks again."""
    project_id, key = ada.new_project()["id"], secrets.token_hex(8)
    operations = [{"op": "create", "value": {"title": "Late", "project_id": project_id}}]
    write_many = Database.write_many

    def crash(self: Database, documents: list[dict[str, Any]]) -> Any:
        assert ada.request("DELETE", f"/projects/{project_id}").status_code == 204
        write_many(self, documents)
        raise KeyboardInterrupt

    die(ada, services, monkeypatch, operations, key, crash)
    assert statuses(send(ada, operations, Idempotency_Key=key)) == [400]
    assert ada.get(f"/documents?project_id={project_id}").json == []


def die(
    ada: Caller,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    operations: list[dict[str, Any]],
    key: str,
    crash: Callable[..., Any],
) -> None:
    """Have the process end within a batch, as ``crash`` does in place of the database, and so much time go by."""
    monkeypatch.setattr(Database, "write_many", of_items(crash))
    monkeypatch.setattr(Idempotency, "release", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        send(ada, operations, Idempotency_Key=key)
    monkeypatch.undo()
    end_leases(services)


def cut_off(done: Callable[..., Any]) -> Callable[..., Any]:
    """Return what does the same, and then answers nothing."""

    def do(*args: Any) -> Any:
        done(*args)
        raise Unavailable

    return do


def test_a_batch_is_repeated_as_a_whole(ada: Caller) -> None:
    document, key = ada.new_document()["id"], secrets.token_hex(8)
    operations = [create("once"), {"op": "patch", "id": document, "value": {"title": "once"}}]
    first, second = (send(ada, operations, Idempotency_Key=key) for _ in range(2))
    assert (first.data, second.headers["Idempotency-Replayed"]) == (second.data, "true")
    assert send(ada, [create("other")], Idempotency_Key=key).status_code == 422


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_a_batch_that_was_cut_off_is_finished(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """The process ends when ``kept`` of three documents are stored, and nothing is answered."""
    document, key = ada.new_document("old", content="old")["id"], secrets.token_hex(8)
    before = sum(len(page) for page in ada.walk("/documents?limit=1000"))
    operations = [create("one"), create("two"), {"op": "patch", "id": document, "value": {"title": "new"}}]
    write_many = Database.write_many

    def crash(self: Database, documents: list[dict[str, Any]]) -> Any:
        write_many(self, documents[:kept])
        raise KeyboardInterrupt

    die(ada, services, monkeypatch, operations, key, crash)
    answer = send(ada, operations, Idempotency_Key=key)
    assert statuses(answer) == [201, 201, 200]
    assert sum(len(page) for page in ada.walk("/documents?limit=1000")) == before + 2
    assert ada.get(f"/documents/{document}").json == {"id": document, "title": "new", "content": "old"}
    assert send(ada, operations, Idempotency_Key=key).data == answer.data


def test_a_batch_that_failed_in_part_is_not_kept(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "LOOKS", 1)
    key, write_many = secrets.token_hex(8), Database.write_many

    def failing(self: Database, documents: list[dict[str, Any]]) -> Any:
        if len(documents) > 1:
            write_many(self, documents[:1])
        raise Unavailable

    monkeypatch.setattr(Database, "write_many", of_items(failing))
    monkeypatch.setattr(Database, "create", failing_alone)
    first = send(ada, [create("one"), create("two")], Idempotency_Key=key)
    assert [outcome["status"] for outcome in outcomes(first)] == [503, 503]
    monkeypatch.undo()
    before = sum(len(page) for page in ada.walk("/documents?limit=1000"))
    second = send(ada, [create("one"), create("two")], Idempotency_Key=key)
    assert statuses(second) == [201, 201]
    assert "Idempotency-Replayed" not in second.headers
    assert sum(len(page) for page in ada.walk("/documents?limit=1000")) == before + 1


CREATE = Database.create


def failing_alone(self: Database, document: dict[str, Any]) -> str:
    """Fail for documents alone, and let records and claims pass."""
    if document["type"] == "document":
        raise Unavailable
    return CREATE(self, document)

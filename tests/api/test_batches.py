"""Batches: independent operations, few requests to the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app import Application
from app.couch.transport import Session
from app.domain.access import SCOPES
from app.errors import Unconfirmed
from app.services import Services
from app.store import Database, confirmed_writes
from tests.api.conftest import Answer, Caller, of_items


def send(caller: Caller, operations: list[dict[str, Any]], kind: str = "documents", **headers: str) -> Answer:
    """Send a batch."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return caller.request("POST", f"/{kind}/batch", json={"operations": operations}, headers=named)


def outcomes(answer: Answer) -> list[dict[str, Any]]:
    """Return the outcomes."""
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json["outcomes"]
    return results


def statuses(answer: Answer) -> list[int]:
    """Return the status of each operation."""
    return [outcome["status"] for outcome in outcomes(answer)]


def create(title: str, **fields: Any) -> dict[str, Any]:
    """Return an operation that creates a document."""
    return {"op": "create", "value": {"title": title, **fields}}


@pytest.mark.parametrize("kind", ["documents", "projects"])
def test_every_operation_has_its_outcome(ada: Caller, kind: str) -> None:
    name = {"documents": "title", "projects": "name"}[kind]
    items = [ada.post(f"/{kind}", {name: str(n)}) for n in range(4)]
    ids = [item.json["id"] for item in items]
    answer = send(
        ada,
        [
            {"op": "create", "value": {name: "New"}},
            {"op": "replace", "id": ids[0], "value": {name: "Replaced"}},
            {"op": "patch", "id": ids[1], "value": {name: "Patched"}, "if_match": items[1].headers["ETag"]},
            {"op": "delete", "id": ids[2]},
            {"op": "patch", "id": ids[3], "value": {}, "if_match": '"1-0123456789abcdef0123456789abcdef"'},
            {"op": "replace", "id": 987654321, "value": {name: "Nowhere"}},
            {"op": "create", "value": {}},
        ],
        kind,
    )
    results = outcomes(answer)
    assert statuses(answer) == [201, 200, 200, 204, 412, 404, 400]
    assert [outcome.get("id") for outcome in results[1:]] == [*ids, 987654321, None]
    assert [outcome.get("error") for outcome in results[4:]] == [
        "precondition_failed",
        "not_found",
        "validation_failed",
    ]
    assert name in results[6]["reason"]
    assert results[4]["etag"] == items[3].headers["ETag"]
    for outcome, title in zip(results, ("New", "Replaced", "Patched"), strict=False):
        read = ada.get(f"/{kind}/{outcome['id']}")
        assert (read.json, read.headers["ETag"]) == ({"id": outcome["id"], name: title}, outcome["etag"])
    assert ada.get(f"/{kind}/{ids[2]}").status_code == 404
    assert set(results[3]) == {"status", "id"}


def test_operations_on_one_document_run_in_order(ada: Caller) -> None:
    item = ada.post("/documents", {"title": "0", "content": "kept"})
    document, tag = item.json["id"], item.headers["ETag"]
    results = outcomes(
        send(
            ada,
            [
                {"op": "patch", "id": document, "value": {"title": "1"}, "if_match": tag},
                {"op": "patch", "id": document, "value": {"title": "2"}, "if_match": tag},
                {"op": "patch", "id": document, "value": {"title": "3"}},
                create("between"),
                {"op": "delete", "id": document},
                {"op": "patch", "id": document, "value": {"title": "4"}},
            ],
        )
    )
    assert [outcome["status"] for outcome in results] == [200, 412, 200, 201, 204, 404]
    assert results[1]["etag"] == results[0]["etag"]


@pytest.mark.usefixtures("indexed")
def test_a_thousand_operations_take_few_requests(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    write_many = Database.write_many

    def counted(self: Database, documents: list[dict[str, Any]]) -> Any:
        sizes.append(len(documents))
        return write_many(self, documents)

    monkeypatch.setattr(Database, "write_many", of_items(counted))
    answer = send(ada, [create(str(n)) for n in range(1000)])
    assert statuses(answer) == [201] * 1000
    assert sorted(sizes) == [332, 334, 334]
    ids = [outcome["id"] for outcome in outcomes(answer)]
    assert ids == sorted(set(ids))
    assert [ada.get(f"/documents/{ids[n]}").json["title"] for n in (0, 999)] == ["0", "999"]


@pytest.mark.usefixtures("indexed")
def test_large_batches_are_split_for_the_database(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """CouchDB refuses a request of more than 8,000,000 bytes."""
    sent: list[int] = []
    request = Session.request

    def counted(self: Session, method: str, url: str, body: bytes | None = None, *args: Any, **options: Any) -> Any:
        if url.endswith("-documents/_bulk_docs"):
            assert body is not None
            sent.append(len(body))
        return request(self, method, url, body, *args, **options)

    monkeypatch.setattr(Session, "request", counted)
    assert statuses(send(ada, [create(str(n), content="x" * 1_000_000) for n in range(8)])) == [201] * 8
    assert len(sent) == 2
    assert max(sent) < 8_000_000 < sum(sent)


@pytest.mark.parametrize(
    ("operations", "location"),
    [
        ([], "body.operations"),
        ([create("x")] * 1001, "body.operations"),
        ([1] * 50_000, "body.operations"),
        ("x", "body.operations"),
        (None, "body.operations"),
        ({"0": create("x")}, "body.operations"),
    ],
)
def test_an_invalid_batch_is_refused_as_a_whole(ada: Caller, operations: Any, location: str) -> None:
    answer = send(ada, operations)
    assert answer.status_code == 400
    assert [fault["location"] for fault in answer.json["errors"]] == [location]


def test_a_value_has_the_size_limit_of_a_single_request(ada: Caller, make_app: Callable[..., Application]) -> None:
    small = Caller(make_app(max_body_bytes=1000), ada.key)
    assert statuses(send(small, [create("x", content="x" * 2000), create("y")])) == [413, 201]
    assert send(small, [create("x", content="x" * 900) for _ in range(20)]).status_code == 413


@pytest.mark.parametrize("mode", ["forbid", "hide"])
def test_a_limited_key_gets_an_outcome_per_operation(
    ada: Caller, app: Application, services: Services, mode: str
) -> None:
    own, foreign = ada.new_project()["id"], ada.new_project()["id"]
    inside, outside = (ada.new_document(project_id=project)["id"] for project in (own, foreign))
    key = Caller(app, services.keys.create("few", SCOPES, projects=[own], out_of_scope=mode)[1])
    answer = send(
        key,
        [
            create("mine", project_id=own),
            create("theirs", project_id=foreign),
            create("nobody's"),
            {"op": "patch", "id": inside, "value": {"title": "x"}},
            {"op": "patch", "id": outside, "value": {"title": "x"}},
            {"op": "delete", "id": 987654321},
            {"op": "patch", "id": inside, "value": {"project_id": foreign}},
        ],
    )
    refused, unknown = {"forbid": (403, 403), "hide": (404, 400)}[mode]
    assert statuses(answer) == [201, unknown, 403, 200, refused, refused, unknown]
    assert ada.get(f"/documents/{outside}").json["title"] == "Untitled"
    gone = send(key, [{"op": "delete", "id": own}, {"op": "create", "value": {"name": "x"}}], "projects")
    assert statuses(gone) == [409, 403]


@pytest.mark.parametrize("lost", ["before", "after"])
def test_lost_answers_of_the_database_are_resolved(ada: Caller, monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    monkeypatch.setattr(confirmed_writes, "MAX_PAUSE_SECONDS", 0.0)
    document = ada.new_document()["id"]
    write_many, tries = Database.write_many, []

    def losing(self: Database, documents: list[dict[str, Any]]) -> Any:
        tries.append(len(documents))
        if len(tries) > 1:
            return write_many(self, documents)
        if lost == "after":
            write_many(self, documents)
        raise Unconfirmed

    monkeypatch.setattr(Database, "write_many", of_items(losing))
    answer = send(ada, [create("new"), {"op": "patch", "id": document, "value": {"title": "patched"}}])
    assert statuses(answer) == [201, 200]
    for outcome, title in zip(outcomes(answer), ("new", "patched"), strict=True):
        read = ada.get(f"/documents/{outcome['id']}")
        assert (read.json["title"], read.headers["ETag"]) == (title, outcome["etag"])


def test_a_lost_race_is_retried_unless_it_is_conditional(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [ada.post("/documents", {"title": "0", "content": "0"}) for _ in range(2)]
    one, other = (item.json["id"] for item in items)
    write_many = Database.write_many

    def overtaken(self: Database, documents: list[dict[str, Any]]) -> Any:
        monkeypatch.undo()
        for document in (one, other):
            assert ada.request("PATCH", f"/documents/{document}", json={"content": "1"}).status_code == 200
        return write_many(self, documents)

    monkeypatch.setattr(Database, "write_many", of_items(overtaken))
    answer = send(
        ada,
        [
            {"op": "patch", "id": one, "value": {"title": "1"}},
            {"op": "patch", "id": other, "value": {"title": "1"}, "if_match": items[1].headers["ETag"]},
        ],
    )
    assert statuses(answer) == [200, 412]
    assert ada.get(f"/documents/{one}").json == {"id": one, "title": "1", "content": "1"}
    assert outcomes(answer)[1]["etag"] == ada.get(f"/documents/{other}").headers["ETag"]

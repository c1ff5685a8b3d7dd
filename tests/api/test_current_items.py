"""Batches that return the current items, and conditions on values, for clients that worked offline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app import Application
from app.domain.access import SCOPES
from app.domain.batches import current as currents
from app.errors import Unavailable
from app.services import Services
from tests.api.conftest import Caller
from tests.api.offline import current, send

STALE = '"1-0123456789abcdef0123456789abcdef"'
NAMES = {"documents": "title", "projects": "name"}
every_kind = pytest.mark.parametrize("kind", NAMES)


def limited(app: Application, services: Services, **limits: Any) -> Caller:
    """Return someone whose key hides everything outside its limits."""
    _, text = services.keys.create("limited", SCOPES, out_of_scope="hide", **limits)
    return Caller(app, text)


@every_kind
def test_refused_operations_show_the_current_item(ada: Caller, kind: str) -> None:
    name = NAMES[kind]
    stale, deleted = (ada.post(f"/{kind}", {name: text}).json["id"] for text in ("Stale", "Deleted"))
    ada.request("DELETE", f"/{kind}/{deleted}")
    operations = [
        {"op": "patch", "id": stale, "value": {}, "if_match": STALE},
        {"op": "replace", "id": deleted, "value": {name: "New"}},
        {"op": "delete", "id": 987654321},
        {"op": "patch", "id": stale, "value": {name: "Patched"}},
        {"op": "create", "value": {}},
    ]
    results = send(ada, *operations, kind=kind, return_="current")
    assert [outcome["status"] for outcome in results] == [412, 404, 404, 200, 400]
    assert results[0]["current"] == current(ada, f"/{kind}/{stale}")
    assert set(results[1]["current"]) == {"etag", "deleted"}
    assert results[1]["current"]["deleted"] is True
    assert not any("current" in outcome for outcome in results[2:])
    assert not any("current" in outcome for outcome in send(ada, *operations, kind=kind))


def test_a_conflict_shows_the_current_item(ada: Caller) -> None:
    project_id = ada.new_project("Full")["id"]
    ada.new_document(project_id=project_id)
    [outcome] = send(ada, {"op": "delete", "id": project_id}, kind="projects", return_="current")
    assert (outcome["status"], outcome["current"]) == (409, current(ada, f"/projects/{project_id}"))


def test_a_document_that_was_deleted_in_fauxton_is_shown_as_deleted(ada: Caller, services: Services) -> None:
    document_id = ada.new_document()["id"]
    documents = services.store["documents"]
    stored = documents.get(services.documents.items.resource_type.doc_id(document_id))
    assert stored
    documents.write_many([{"_id": stored["_id"], "_rev": stored["_rev"], "_deleted": True}])
    [outcome] = send(ada, {"op": "delete", "id": document_id}, return_="current")
    assert (outcome["status"], outcome["current"]["deleted"]) == (404, True)


def test_values_beyond_two_mebibytes_are_omitted(ada: Caller) -> None:
    large = [ada.new_document("Large", content=str(n) * 900_000)["id"] for n in range(3)]
    small = ada.new_document("Small")["id"]
    stale: list[dict[str, Any]] = [
        {"op": "patch", "id": each, "value": {}, "if_match": STALE} for each in (*large, small, large[0])
    ]
    values = [outcome["current"] for outcome in send(ada, *stale, return_="current")]
    assert values[:2] == [current(ada, f"/documents/{each}") for each in large[:2]]
    assert values[2:] == [
        {"etag": current(ada, f"/documents/{each}")["etag"], "omitted": True} for each in (large[2], small, large[0])
    ]


def test_only_the_items_after_the_values_are_not_read(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [ada.new_document(content="x" * 1000)["id"] for _ in range(4)]
    monkeypatch.setattr(currents, "MAX_BYTES", 1500)
    monkeypatch.setattr(currents, "FIRST_READ_ITEMS", 1)
    stale: list[dict[str, Any]] = [{"op": "patch", "id": each, "value": {}, "if_match": STALE} for each in ids]
    values = [outcome["current"] for outcome in send(ada, *stale, return_="current")]
    assert values[0] == current(ada, f"/documents/{ids[0]}")
    assert values[1:] == [{"etag": current(ada, f"/documents/{each}")["etag"], "omitted": True} for each in ids[1:]]


def test_a_limited_key_sees_only_its_own_items(ada: Caller, app: Application, services: Services) -> None:
    own, foreign = (ada.new_project(name)["id"] for name in ("Own", "Foreign"))
    kept, mine, theirs, hidden = (ada.new_document(project_id=each)["id"] for each in (own, own, foreign, foreign))
    for each in (mine, theirs):
        ada.request("DELETE", f"/documents/{each}")
    eve = limited(app, services, projects=[own])
    stale: list[dict[str, Any]] = [
        {"op": "patch", "id": i, "value": {}, "if_match": STALE} for i in (kept, mine, theirs, hidden, 987654321)
    ]
    results = send(eve, *stale, return_="current")
    assert [outcome["status"] for outcome in results] == [412, 404, 404, 404, 404]
    assert results[0]["current"] == current(eve, f"/documents/{kept}")
    assert results[1]["current"]["deleted"] is True
    foreign_ones = [{**each, "id": 0, "reason": each["reason"].replace(str(each["id"]), "0")} for each in results[2:]]
    assert foreign_ones == [foreign_ones[0]] * 3
    assert "current" not in foreign_ones[0]


def test_a_key_that_may_not_read_sees_no_current_item(ada: Caller, caller: Callable[..., Caller]) -> None:
    item = ada.new_document("Old", content="a\nb\nc\n")
    ada.request("PATCH", f"/documents/{item['id']}", json={"content": "a\nb\nC\n"})
    writer = caller("documents:write")
    results = send(
        writer,
        {"op": "patch", "id": item["id"], "value": {}, "if_match": STALE},
        {
            "op": "merge",
            "id": item["id"],
            "base": {"title": "Old", "content": "a\nb\nc\n"},
            "value": {"title": "Old", "content": "A\nb\nc\n"},
        },
        return_="current",
    )
    assert [(outcome["status"], "current" in outcome) for outcome in results] == [(412, False), (200, False)]
    assert results[1]["merged"] is True


def test_a_database_that_fails_afterwards_hides_the_items_alone(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Unavailable

    document_id = ada.new_document()["id"]
    monkeypatch.setattr(currents, "_read", fail)
    results = send(
        ada,
        {"op": "patch", "id": document_id, "value": {}, "if_match": STALE},
        {"op": "patch", "id": document_id, "value": {"title": "New"}},
        return_="current",
    )
    assert [(outcome["status"], "current" in outcome) for outcome in results] == [(412, False), (200, False)]


@pytest.mark.parametrize("value", ["", "all", None, 1])
def test_nothing_else_can_be_returned(ada: Caller, value: object) -> None:
    answer = ada.post("/documents/batch", {"operations": [{"op": "delete", "id": 1}], "return": value})
    assert (answer.status_code, answer.json["errors"][0]["location"]) == (400, "body.return")


@every_kind
@pytest.mark.parametrize("op", ["replace", "patch", "delete", "merge"])
def test_a_condition_can_name_the_value_and_the_tag(ada: Caller, kind: str, op: str) -> None:
    name = NAMES[kind]
    created = ada.post(f"/{kind}", {name: "Old"})
    item, tag = created.json["id"], created.headers["ETag"]
    value: dict[str, Any] = (
        {} if op == "delete" else {"value": {name: "New"}, **({"base": {name: "Old"}} if op == "merge" else {})}
    )
    operation: dict[str, Any] = {"op": op, "id": item, **value}
    refused: list[dict[str, Any]] = [
        {"if_value": {name: "Other"}},
        {"if_value": {name: "Other"}, "if_match": tag},
        {"if_value": {name: "Old"}, "if_match": STALE},
        {"if_value": {name: "Other"}, "if_match": "*"},
    ]
    results = send(ada, *({**operation, **condition} for condition in refused), kind=kind)
    assert [(outcome["status"], outcome["etag"]) for outcome in results] == [(412, tag)] * 4
    [outcome] = send(ada, {**operation, "if_value": {name: "Old"}, "if_match": tag}, kind=kind)
    assert outcome["status"] == (204 if op == "delete" else 200)


def test_a_condition_on_a_value_needs_every_member(ada: Caller) -> None:
    item = ada.new_document("Title", content="Text")["id"]
    values: list[dict[str, Any]] = [
        {"title": "Title"},
        {"title": "Title", "content": "text"},
        {"title": "Title", "content": "Text"},
    ]
    results = send(ada, *({"op": "patch", "id": item, "value": {"title": "T"}, "if_value": each} for each in values))
    assert [outcome["status"] for outcome in results] == [412, 412, 200]


def test_a_condition_must_be_a_whole_value(ada: Caller) -> None:
    item = ada.new_document("Title")["id"]
    patch = {"op": "patch", "id": item, "value": {"title": "T"}}
    values: list[dict[str, Any]] = [
        {},
        {"title": "Title", "id": item},
        {"title": "Title", "content": None},
        {"title": 1},
    ]
    results = send(ada, *({**patch, "if_value": each} for each in values))
    assert [(outcome["status"], "if_value." in outcome["reason"]) for outcome in results] == [(400, True)] * 4
    [outcome] = send(ada, {"op": "create", "value": {"title": "T"}, "if_value": {"title": "T"}})
    assert (outcome["status"], outcome["reason"]) == (400, "if_value: Not allowed for create.")

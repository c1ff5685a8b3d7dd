"""Invalid operations of a batch: each has an outcome with a reason, and the others are carried out."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from app.store.items import MAX_ID
from tests.api.conftest import Caller
from tests.api.test_batches import create, outcomes, send, statuses

WRONG_IDS: tuple[object, ...] = (None, "1", 1.0, True, 0, -1, -MAX_ID, [1], {})
# Texts whose JSON in a stored answer is longest.
WIDE = ("\U0001f4dc", "\u0001", '"')


@pytest.mark.parametrize(
    ("operation", "place"),
    [
        ({"op": "create", "id": 1, "value": {"title": "x"}}, "id"),
        ({"op": "create"}, "value"),
        ({"op": "create", "value": {"title": "x", "more": 1}}, "value.more"),
        ({"op": "create", "value": {"title": "x"}, "if_match": "*"}, "if_match"),
        ({"op": "create", "value": {"title": "x", "project_id": 987654321}}, "value.project_id"),
        ({"op": "create", "value": {"title": 5}}, "value.title"),
        ({"op": "create", "value": {"title": {"title": ["x"]}}}, "value.title"),
        ({"op": "create", "value": [{"title": "x"}]}, "value"),
        ({"op": "create", "value": None}, "value"),
        ({"op": "replace", "value": {"title": "x"}}, "id"),
        ({"op": "patch", "id": 1, "value": {"title": None}}, "value.title"),
        ({"op": "delete", "id": 1, "value": {}}, "value"),
        ({"op": "delete", "id": 1, "if_match": None}, "if_match"),
        ({"op": "delete", "id": 1, "if_match": ['"1-a"']}, "if_match"),
        ({"op": "delete", "id": 1, "if_match": "," * 1001}, "if_match"),
        ({"op": "delete", "id": 1, "more": 1}, "more"),
        ({"op": "delete", "id": 1, "json": 1}, "json"),
        ({"op": "delete", "id": 1, "_schema": 1}, "_schema"),
        ({"op": "upsert", "id": 1, "value": {"title": "x"}}, "op"),
        ({"op": None, "id": 1}, "op"),
        ({"op": ["create"], "value": {"title": "x"}}, "op"),
        ({"op": {"create": 1}, "value": {"title": "x"}}, "op"),
        ({"value": {"title": "x"}}, "op"),
        ({}, "op"),
        ({"op": "delete"}, "id"),
        *(({"op": "delete", "id": wrong}, "id") for wrong in WRONG_IDS),
    ],
)
def test_a_bad_operation_does_not_affect_the_others(ada: Caller, operation: dict[str, Any], place: str) -> None:
    answer = send(ada, [create("before"), operation, create("after")])
    assert statuses(answer) == [201, 400, 201]
    refused = outcomes(answer)[1]
    assert refused["error"] == "validation_failed"
    assert refused["reason"].split(": ")[0] == place
    named = operation.get("id")
    assert refused.get("id") == (named if place != "id" or operation["op"] == "create" else None)


@pytest.mark.parametrize("operation", [None, 1, 1.5, True, "create", [], ["op"], [create("x")]])
def test_an_invalid_operation_has_its_own_outcome(ada: Caller, operation: Any) -> None:
    """Also with an Idempotency-Key, which first counts the creates."""
    answer = send(ada, [operation, create("x")], Idempotency_Key=secrets.token_hex(8))
    assert statuses(answer) == [400, 201]
    refused = outcomes(answer)[0]
    assert set(refused) == {"status", "error", "reason"}
    assert refused["error"] == "validation_failed"


@pytest.mark.parametrize("where", ["operation", "value"])
def test_an_outcome_lists_at_most_3_faults(ada: Caller, where: str) -> None:
    wrong: dict[str, Any] = {letter * 200: 1 for letter in "xyz"}
    both = [
        create("x", **named) if where == "value" else {**create("x"), **named} for named in (wrong, wrong | {"a": 1})
    ]
    few, many = (outcome["reason"].split("; ") for outcome in outcomes(send(ada, both)))
    assert len(few) == 3
    assert len(many) == 4
    assert many[3] == "There are more faults than these."
    assert all(len(fault) < 60 for fault in few)


@pytest.mark.parametrize("text", WIDE)
def test_a_thousand_outcomes_with_reasons_can_be_stored(ada: Caller, text: str) -> None:
    """The answer to any batch is far below the 8 MB of a CouchDB document."""
    wrong = {"op": "delete", "id": MAX_ID, **{f"{text * 100}{n}": 1 for n in range(5)}}
    sent = json.dumps({"operations": [wrong] * 1000}, ensure_ascii=False, separators=(",", ":"))
    headers = {"Idempotency-Key": secrets.token_hex(8), "Content-Type": "application/json"}
    first, again = (ada.request("POST", "/documents/batch", data=sent, headers=headers) for _ in range(2))
    assert statuses(first) == [400] * 1000
    assert all(text * 34 in outcome["reason"] for outcome in outcomes(first))
    assert len(json.dumps(first.text)) < 2_000_000
    assert (again.data, again.headers.get("Idempotency-Replayed")) == (first.data, "true")


def test_a_bad_project_is_located_in_the_value(ada: Caller) -> None:
    document, nowhere = ada.new_document()["id"], {"title": "x", "project_id": 987654321}
    operations = [{"op": op, "id": document, "value": nowhere} for op in ("replace", "patch")]
    results = outcomes(send(ada, [{"op": "create", "value": nowhere}, *operations]))
    assert {outcome["reason"] for outcome in results} == {"value.project_id: There is no project 987654321."}


@pytest.mark.parametrize(
    "form", ['"{}"', 'W/"{}"', '"{}-gzip"', "{}", "W/{}", "{}-gzip", "W/{}-gzip", " {} ", '"1-a", "{}"']
)
def test_if_match_accepts_a_tag_with_and_without_quotes(ada: Caller, form: str) -> None:
    made = ada.post("/documents", {"title": "x"})
    tag = form.format(made.headers["ETag"].strip('"'))
    current = {"op": "patch", "id": made.json["id"], "value": {"title": "y"}, "if_match": tag}
    assert statuses(send(ada, [current, current])) == [200, 412]


@pytest.mark.parametrize("tag", ["", '""', '"*"', "W/*", "*-gzip", "W/", '"1-a', "1-a"])
def test_a_stale_tag_is_412(ada: Caller, tag: str) -> None:
    document = ada.new_document()["id"]
    assert statuses(send(ada, [{"op": "delete", "id": document, "if_match": tag}])) == [412]

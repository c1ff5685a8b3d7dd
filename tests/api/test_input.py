"""Bad input of every kind is a documented 4xx with a location, and changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.conftest import Caller


def count(ada: Caller) -> int:
    """Return the number of documents."""
    return sum(len(page) for page in ada.walk("/documents?limit=1000"))


@pytest.mark.parametrize(
    ("body", "locations"),
    [
        ({}, ["body.title"]),
        ({"title": ""}, ["body.title"]),
        ({"title": "x" * 301}, ["body.title"]),
        ({"title": 5}, ["body.title"]),
        ({"title": None}, ["body.title"]),
        ({"title": ["x"]}, ["body.title"]),
        ({"title": "x", "content": None}, ["body.content"]),
        ({"title": "x", "content": 5}, ["body.content"]),
        ({"title": "x", "content": {"a": 1}}, ["body.content"]),
        ({"title": "x", "id": 7}, ["body.id"]),
        ({"title": "x", "type": "project"}, ["body.type"]),
        ({"title": "x", "_id": "document:1", "_rev": "1-a"}, ["body._id", "body._rev"]),
        ({"title": "x", "_deleted": True}, ["body._deleted"]),
        ({"title": "x", "_attachments": {}}, ["body._attachments"]),
        ({"title": "x", "created_at": "2026-01-01T00:00:00Z"}, ["body.created_at"]),
        ({"title": "x", "Title": "y"}, ["body.Title"]),
        ({"title": "x", "project_id": None}, ["body.project_id"]),
        ({"title": "x", "project_id": "1"}, ["body.project_id"]),
        ({"title": "x", "project_id": 1.0}, ["body.project_id"]),
        ({"title": "x", "project_id": True}, ["body.project_id"]),
        ({"title": "x", "project_id": 0}, ["body.project_id"]),
        ({"title": "x", "project_id": -1}, ["body.project_id"]),
        ([], ["body"]),
        ([{"title": "x"}], ["body"]),
        ("x", ["body"]),
        (5, ["body"]),
        (None, ["body"]),
        (True, ["body"]),
    ],
)
def test_a_wrong_body_is_located(ada: Caller, body: Any, locations: list[str]) -> None:
    before = count(ada)
    answer = ada.request("POST", "/documents", data=json.dumps(body), content_type="application/json")
    assert (answer.status_code, answer.json["error"]) == (400, "validation_failed")
    assert sorted(fault["location"] for fault in answer.json["errors"]) == locations
    assert all(fault["reason"] for fault in answer.json["errors"])
    assert count(ada) == before


MORE = "There are more faults than these."


@pytest.mark.parametrize("faults", [100, 101, 50_000])
def test_at_most_100_faults_are_reported(ada: Caller, faults: int) -> None:
    """Faults in known members are reported first."""
    answer = ada.post("/documents", {**{f"{number}": 1 for number in range(faults - 1)}, "title": 5})
    reported = answer.json["errors"]
    assert reported[0] == {"location": "body.title", "reason": "Not a valid string."}
    assert {fault["reason"] for fault in reported[1:100]} == {"Unknown field."}
    assert reported[100:] == ([{"location": "body", "reason": MORE}] if faults > 100 else [])


def test_at_most_100_faults_of_a_query_are_reported(ada: Caller) -> None:
    unknown, repeated = (
        "&".join(f"x{number}=1" for number in range(200)),
        "&".join(f"x{n % 150}=1" for n in range(300)),
    )
    for query in (unknown, repeated):
        faults = ada.get(f"/documents?{query}").json["errors"]
        assert len({fault["location"] for fault in faults}) == len(faults) == 101
        assert faults[-1] == {"location": "query", "reason": MORE}


@pytest.mark.parametrize(("member", "element"), [("projects", {}), ("documents", "1"), ("scopes", "documents:read")])
def test_the_length_of_a_list_is_checked_first(ada: Caller, member: str, element: object) -> None:
    key = {"name": "x", "scopes": ["documents:read"]}
    answer = ada.post("/keys", {**key, member: [element] * 20_000})
    assert answer.status_code == 400
    assert [fault["location"] for fault in answer.json["errors"]] == [f"body.{member}"]
    assert "ength" in answer.json["errors"][0]["reason"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"title": "a", "title": "b"}', b'{"title": "\\u0000"}', b"\xff", b"[" * 9999]
)
def test_lenient_json_is_refused(ada: Caller, body: bytes) -> None:
    answer = ada.request("POST", "/projects", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_json")
    assert answer.json["errors"] == []


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("APPLICATION/JSON;charset=UTF-8", 201),
        ("application/json; charset=latin-1", 415),
        ("application/merge-patch+json", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
        (None, 415),
        (";", 415),
    ],
)
def test_only_a_json_content_type_is_accepted(ada: Caller, content_type: str | None, status: int) -> None:
    answer = ada.request("POST", "/documents", data=b'{"title": "typed"}', content_type=content_type)
    assert answer.status_code == status
    if status == 415:
        assert answer.json["error"] == "bad_content_type"


def test_an_encoded_body_is_refused(ada: Caller) -> None:
    answer = ada.request("POST", "/documents", json={"title": "x"}, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200),
        ("*/*", 200),
        ("application/json", 200),
        ("application/*", 200),
        ("application/json; charset=utf-8", 200),
        ("application/json;version=1", 200),
        ("application/json; charset=utf-8; q=0", 406),
        ("application/json;q=0, */*", 406),
        ("text/html, application/json;q=0.1", 200),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 200),
        ("text/html", 406),
        ("application/json;q=0", 406),
        ("application/json;q=0, text/html", 406),
        ("nonsense", 406),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", 200),
        ("*", 200),
        ("*;q=0", 406),
        ("text/html;level=1, *;q=0.0", 406),
        ("Application/JSON;Q=.001", 200),
        ("application/json; q = 1.", 200),
        ('text/plain;x="a,b;q=0", application/json', 200),
        ('application/json;x=";q=0"', 200),
        ("application/json;q=high", 200),
        (",, ,", 200),
        ("application/*;q=0, */*", 406),
        ("application/*;q=0, application/json", 200),
        ("application/problem+json", 406),
    ],
)
def test_the_accept_header_must_admit_json(ada: Caller, accept: str, status: int) -> None:
    answer = ada.get("/documents", accept=accept)
    assert answer.status_code == status
    if status == 406:
        assert answer.json["error"] == "not_acceptable"


def test_a_body_over_the_limit_is_refused(ada: Caller) -> None:
    answer = ada.post("/documents", {"title": "x", "content": "x" * 2**20})
    assert (answer.status_code, answer.json["error"]) == (413, "too_large")
    assert ada.post("/documents", {"title": "x", "content": "x" * (2**20 - 40)}).status_code == 201


@pytest.mark.parametrize(
    "path",
    [
        "/documents?x=1",
        "/documents/1?x=1",
        "/projects?project_id=1",
        "/?x=1",
        "/livez?x",
        "/openapi.json?v=1",
    ],
)
def test_an_unknown_parameter_is_refused(ada: Caller, path: str) -> None:
    answer = ada.get(path)
    assert answer.status_code == 400
    assert answer.json["errors"][0]["location"].startswith("query.")


def test_an_unknown_parameter_of_a_write_is_refused(ada: Caller) -> None:
    before = count(ada)
    assert ada.post("/documents?dry_run=true", {"title": "x"}).status_code == 400
    assert count(ada) == before


@pytest.mark.parametrize(
    "query",
    [
        "order=up",
        "order=",
        "order=ASC",
        "project_id=abc",
        "project_id=0",
        "project_id=9007199254740992",
        "ids=",
        "ids=1,,2",
        "ids=1,a",
        "ids=0",
        "ids=1;2",
        "ids=" + ",".join(["1"] * 1001),
        "ids=" + ",".join(["9007199254740991"] * 412),
    ],
)
def test_an_unusable_parameter_is_located(ada: Caller, query: str) -> None:
    answer = ada.get(f"/documents?{query}")
    assert answer.status_code == 400
    assert [fault["location"] for fault in answer.json["errors"]] == [f"query.{query.split('=')[0]}"]


@pytest.mark.parametrize(
    "path", ["/documents/", "/documents//1", "/documents/1//", "/Documents", "/documents/1/", "/nope", "/%00"]
)
def test_a_path_is_not_normalised(ada: Caller, path: str) -> None:
    assert ada.get(path).status_code == 404

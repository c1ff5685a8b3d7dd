"""The OpenAPI document describes every operation completely, future ones included."""

from __future__ import annotations

import copy
import re
from typing import Any

import jsonschema_rs
import pytest
from werkzeug.test import Client

from app.api.openapi import DESCRIPTION
from app.domain.access import SCOPES
from app.domain.keys.key_text import compose
from app.domain.listing.cursors import Cursors
from app.errors import ERRORS, ValidationFailed
from app.http.idempotent import read_key
from tests.api.operations import APP, DOCUMENT, OPERATIONS, TEXT, Operation, whole

pytestmark = pytest.mark.nodatabase

# The headers of errors beside the common ones and those of their classes.
MORE_HEADERS = {
    400: {"Idempotency-Replayed"},
    404: {"Idempotency-Replayed"},
    409: {"Idempotency-Replayed"},
    412: {"Idempotency-Replayed", "ETag"},
    415: {"Accept-Patch"},
}

# Tools that send an example as it is would be refused.
WITHOUT_EXAMPLE = {"cursor", "ticket", "If-Match", "If-None-Match", "Idempotency-Key", "Last-Event-ID"}

# The operations that compare an item with the tags of a condition, where they write. The others refuse conditions.
ITEM = re.compile("}(/(copy|rotate|resolve|restore))?$")

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


def test_it_speaks_of_the_service() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert DOCUMENT["info"]["description"] == DESCRIPTION
    for term in ("X-API-Key", "x-next", "ETag", "If-None-Match", "request_id", "errors", "HEAD", "OPTIONS"):
        assert f"`{term}`" in DESCRIPTION
    assert [tag["name"] for tag in DOCUMENT["tags"]][:2] == ["documents", "projects"]
    assert all(tag["description"] for tag in DOCUMENT["tags"])
    assert whole(DOCUMENT["components"]["securitySchemes"]["ApiKey"])["name"] == "X-API-Key"


def test_it_holds_every_route() -> None:
    routes = {
        (re.sub("<(?:[^>]*:)?([^>]*)>", r"{\1}", rule.rule), method.lower())
        for rule in APP.flask.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.rule.startswith("/reference/")
    }
    # OpenAPI 3.1 has no COPY but keeps extensions.
    assert {(operation.path, operation.method.removeprefix("x-")) for operation in OPERATIONS} == routes


def test_operation_ids_are_unique() -> None:
    ids = [operation.says["operationId"] for operation in OPERATIONS]
    assert len(ids) == len(set(ids))


def test_every_property_is_described() -> None:
    bare = [
        f"{name}.{member}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for member, value in schema["properties"].items()
        if "description" not in value and "$ref" not in value
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        ("import-2026", True),
        ("!", True),
        (255 * "x", True),
        ('"a b"', False),
        (r'"a\"b\\"', True),
        ('"' + 255 * "x" + '"', True),
        ("", False),
        (256 * "x", False),
        ('"', False),
        ('""', False),
        ('"a"b"', False),
        ("a b", False),
        ("é", False),
    ],
)
def test_the_pattern_of_idempotency_keys_is_the_rule_of_the_service(value: str, is_valid: bool) -> None:
    schema = DOCUMENT["components"]["parameters"]["Idempotency-Key"]["schema"]
    assert jsonschema_rs.is_valid(schema, value) is is_valid
    if is_valid:
        assert read_key(value)
    else:
        with pytest.raises(ValidationFailed):
            read_key(value)


def test_the_patterns_admit_the_texts_of_the_service() -> None:
    key = DOCUMENT["components"]["schemas"]["MintedKey"]["properties"]["key"]
    assert jsonschema_rs.is_valid(key, compose("test", bytes(32)))
    (listing,) = (operation for operation in OPERATIONS if operation.says["operationId"] == "list_documents")
    cursor = next(parameter["schema"] for parameter in listing.parameters if parameter["name"] == "cursor")
    assert jsonschema_rs.is_valid(cursor, Cursors(["secret"]).write(9, "principal", "/documents"))
    assert not jsonschema_rs.is_valid(cursor, "https://api.dreamscript.example/documents?cursor=9")


def test_the_server_is_where_the_document_is() -> None:
    assert DOCUMENT["servers"] == [{"url": "/", "description": "This service."}]
    answer = Client(APP).get("/openapi.json", environ_overrides={"SCRIPT_NAME": "/below/a prefix"})
    assert answer.get_json()["servers"][0]["url"] == "/below/a%20prefix"


def test_nothing_refers_to_nothing_and_nothing_is_left_over() -> None:
    referred = set(re.findall(r'"#/components/([^"]+)"', TEXT))
    kinds = ("schemas", "responses", "headers", "parameters")
    assert referred == {f"{kind}/{name}" for kind in kinds for name in DOCUMENT["components"][kind]}


@every_operation
def test_it_is_described(operation: Operation) -> None:
    assert operation.says["summary"]
    assert not operation.says["summary"].endswith(".")
    assert len(operation.says["tags"]) == 1
    scope = operation.says.get("x-scope")
    assert operation.says["security"] == ([{"ApiKey": []}] if scope else [])
    scopes = [scope, *operation.says.get("x-other-scopes", ())] if scope else []
    needs = ", or ".join(f"the scope `{each}`: {SCOPES[each]}" for each in scopes) or "no key"
    assert operation.says["description"].endswith(f"Needs {needs}.")


@every_operation
def test_its_parameters_are_described(operation: Operation) -> None:
    given = operation.parameters
    assert {parameter["name"] for parameter in given if parameter["in"] == "path"} == set(
        re.findall("{(.*?)}", operation.path)
    )
    assert all(parameter["description"] for parameter in given)
    sent = {parameter["name"] for parameter in given if parameter["in"] == "header"}
    honoured = {"304": {"If-None-Match"}, "422": {"Idempotency-Key"}}
    if ITEM.search(operation.path):
        honoured["412"] = {"If-None-Match", "If-Match"}
    of_streams = {"Last-Event-ID"} if operation.path == "/changes" else set()
    assert sent == {"X-Request-ID"}.union(
        of_streams, *(honoured.get(status, set()) for status in operation.says["responses"])
    )


@every_operation
def test_its_parameters_have_valid_examples(operation: Operation) -> None:
    for parameter in operation.parameters:
        schema = parameter["schema"]
        assert "examples" in schema or "enum" in schema or parameter["name"] in WITHOUT_EXAMPLE, parameter["name"]
        for example in schema.get("examples", ()):
            jsonschema_rs.validate(schema, example)


@every_operation
def test_its_refusals_are_documented(operation: Operation) -> None:
    expected = {"400", "406", "500"}
    expected |= {"401", "403", "429", "503"} if operation.says["security"] else set()
    expected |= {"413", "415"} if "requestBody" in operation.says else set()
    expected |= {"404"} if "{" in operation.path else set()
    expected |= {"412"} if operation.method != "get" else set()
    assert expected <= set(operation.says["responses"])
    assert "default" not in operation.says["responses"]
    for status in (status for status in operation.says["responses"] if status >= "400"):
        assert_documents_errors(int(status), whole(operation.says["responses"][status]))


def assert_documents_errors(status: int, response: dict[str, Any]) -> None:
    """Check that a response lists the codes that share its status, with an example of each."""
    errors = [error for error in ERRORS if error.status == status]
    codes, carried = {error.code for error in errors}, {name for error in errors for name in error.default_headers}
    common = {"X-Request-ID", "Cache-Control", "RateLimit-Policy", "RateLimit"}
    assert common | carried | MORE_HEADERS.get(status, set()) == set(response["headers"])
    content = response["content"]["application/json"]
    assert set(content["examples"]) == codes
    for code, example in content["examples"].items():
        assert f"`{code}`" in response["description"]
        assert example["value"]["error"] == code
        jsonschema_rs.validate(content["schema"], example["value"])
        assert ("errors" in example["value"]) == (status == 400)


def test_every_header_has_a_valid_example() -> None:
    for header in DOCUMENT["components"]["headers"].values():
        for example in header["schema"].get("examples") or header["schema"]["enum"]:
            jsonschema_rs.validate(header["schema"], example)


@every_operation
def test_a_repeated_answer_is_marked(operation: Operation) -> None:
    is_repeatable = "422" in operation.says["responses"]
    for status, response in operation.says["responses"].items():
        if status.startswith("2"):
            assert ("Idempotency-Replayed" in whole(response)["headers"]) == is_repeatable


@every_operation
def test_its_success_is_documented(operation: Operation) -> None:
    (success,) = (status for status in operation.says["responses"] if status.startswith("2"))
    response = whole(operation.says["responses"][success])
    assert "X-Request-ID" in response["headers"]
    counted = set(response["headers"]) & {"RateLimit-Policy", "RateLimit"}
    is_counted = operation.says["security"] and operation.path != "/metrics"
    assert len(counted) == (2 if is_counted else 0)
    assert ("content" in response) == (success != "204")
    # Nothing is stored at a place of its own for a reservation or a ticket.
    is_located = success == "201" and not operation.path.endswith(("/reservations", "/tickets"))
    assert ("Location" in response["headers"]) == is_located
    assert "Cache-Control" in response["headers"] or success == "204"
    assert all(header["description"] and header["schema"] for header in response["headers"].values())
    # Metrics are neither an item nor a page, and differ each time.
    conditional = operation.method == "get" and operation.says["security"] and operation.path != "/metrics"
    if "304" in operation.says["responses"] or conditional:
        spared = whole(operation.says["responses"]["304"])
        assert "content" not in spared
        assert spared["headers"] == response["headers"]
        assert "ETag" in spared["headers"]
    if "x-next" in response["headers"]:
        assert "Link" in response["headers"]


@every_operation
def test_its_bodies_are_closed_and_shown(operation: Operation) -> None:
    success = next(response for status, response in operation.says["responses"].items() if status.startswith("2"))
    for body in whole([operation.says.get("requestBody", {}), success]):
        content = body.get("content", {}).get("application/json")
        if content is None or operation.path == "/openapi.json":
            continue
        items = content["schema"].get("items", content["schema"])
        assert items["additionalProperties"] is False
        jsonschema_rs.validate(content["schema"], content["example"])


def test_the_checks_above_can_fail() -> None:
    """An example that breaks its schema is refused by the validator that is used here."""
    content = whole(DOCUMENT["paths"]["/documents"]["post"]["requestBody"])["content"]["application/json"]
    broken = copy.deepcopy(content["example"]) | {"unknown": 1}
    assert not jsonschema_rs.is_valid(content["schema"], broken)

"""Pages of allowed origins may send and read everything, and pages of others may read nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from werkzeug.test import Client, TestResponse

from app import create_app
from app.http.cross_origin import REQUEST_HEADERS, RESPONSE_HEADERS, CrossOrigin
from app.request_context import METHODS
from tests.offline_settings import OFFLINE_SETTINGS

pytestmark = pytest.mark.nodatabase

EDITOR, OTHER = "https://editor.example", "https://other.example"
# Each of a different kind: routes, files, unknown paths, and paths that no route can have.
PATHS = (
    "/",
    "/documents",
    "/documents/1",
    "/keys",
    "/livez",
    "/metrics",
    "/openapi.json",
    "/nope",
    "//documents",
    "/%ff",
)
REFUSED = (
    ("GET", "/documents", 401),
    ("POST", "/documents", 401),
    ("GET", "/nope", 404),
    ("POST", "/nope", 404),
    ("PUT", "/documents", 405),
    ("HEAD", "/documents", 401),
    ("GET", "/livez?x=1", 400),
    ("COPY", "/documents/1", 401),
    ("GET", "/readyz", 503),
)


def client(*origins: str) -> Client:
    """Return a client of a service whose database does not answer."""
    return Client(create_app(replace(OFFLINE_SETTINGS, cors_origins=origins)))


def preflight(origins: tuple[str, ...], origin: str, path: str = "/documents", method: str = "PUT") -> TestResponse:
    """Return the answer to the preflight request of a page."""
    headers = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "x-api-key"}
    return client(*origins).open(path, method="OPTIONS", headers=headers)


def listed(answer: TestResponse, name: str) -> set[str]:
    """Return the elements of a header that is a list."""
    return {element.strip() for element in answer.headers.get(name, "").split(",")} - {""}


@pytest.mark.parametrize(("origins", "expected"), [(("*",), "*"), ((EDITOR, OTHER), EDITOR)])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["PUT", "COPY", "GET", "DELETE"])
def test_a_preflight_needs_no_key(origins: tuple[str, ...], expected: str, path: str, method: str) -> None:
    answer = preflight(origins, EDITOR, path, method)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == expected
    assert listed(answer, "Access-Control-Allow-Methods") == set(METHODS)
    assert listed(answer, "Access-Control-Allow-Headers") == set(REQUEST_HEADERS)
    assert answer.headers["Access-Control-Max-Age"] == "7200"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(("origins", "expected"), [(("*",), "*"), ((EDITOR,), EDITOR)])
@pytest.mark.parametrize(("method", "path", "status"), REFUSED)
def test_a_page_reads_every_error(origins: tuple[str, ...], expected: str, method: str, path: str, status: int) -> None:
    answer = client(*origins).open(path, method=method, headers={"Origin": EDITOR})
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == expected
    assert listed(answer, "Access-Control-Expose-Headers") == set(RESPONSE_HEADERS)
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origins", [(EDITOR,), ()])
@pytest.mark.parametrize("origin", [OTHER, "null", "", f"{EDITOR}:444", f"{EDITOR}.evil.example", f"{EDITOR},{EDITOR}"])
def test_a_page_of_another_origin_reads_nothing(origins: tuple[str, ...], origin: str) -> None:
    answers = [
        preflight(origins, origin),
        *(client(*origins).open(path, method=method, headers={"Origin": origin}) for method, path, _ in REFUSED),
    ]
    for answer in answers:
        assert not any(name.startswith("Access-Control") for name, _ in answer.headers)


def test_with_a_list_each_answer_varies_by_origin() -> None:
    """A shared cache must not give the answer for one origin to another."""
    for headers in ({}, {"Origin": EDITOR}, {"Origin": OTHER}):
        assert "Origin" in listed(client(EDITOR).get("/livez", headers=headers), "Vary")
        assert "Origin" in listed(client(EDITOR).options("/documents", headers=headers), "Vary")


@pytest.mark.parametrize("origins", [("*",), ()])
def test_without_a_list_no_answer_varies_by_origin(origins: tuple[str, ...]) -> None:
    assert "Vary" not in client(*origins).get("/livez", headers={"Origin": EDITOR}).headers


def test_origin_is_added_to_vary() -> None:
    headers = CrossOrigin([EDITOR]).with_headers([("Vary", "X-API-Key, Authorization"), ("ETag", '"1"')], EDITOR)
    assert dict(headers)["Vary"] == "X-API-Key, Authorization, Origin"
    assert len(headers) == len(dict(headers))


@pytest.mark.parametrize("headers", [{}, {"Origin": EDITOR}, {"Access-Control-Request-Method": "PUT"}])
def test_options_that_is_no_preflight_lists_methods(headers: dict[str, str]) -> None:
    answer = client("*").options("/documents", headers=headers)
    assert (answer.status_code, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert "Access-Control-Allow-Methods" not in answer.headers
    assert client("*").options("/nope", headers=headers).status_code == 404


def test_a_preflight_lists_methods_too() -> None:
    assert preflight(("*",), EDITOR).headers["Allow"] == "GET, HEAD, OPTIONS, POST"

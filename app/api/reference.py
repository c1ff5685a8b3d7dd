"""The OpenAPI document and the page that shows it, whole without any other host: Swagger UI comes from a package."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import flask_swagger_ui
from flask import Response, json

from app.http import conditional, media
from app.http.blueprint import Blueprint

PAGE = Path(__file__).parent / "reference_page"
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"

ASSETS = {
    "page.css": (PAGE, "text/css"),
    "start.js": (PAGE, "text/javascript"),
    "swagger-ui.css": (SWAGGER_UI, "text/css"),
    "swagger-ui-bundle.js": (SWAGGER_UI, "text/javascript"),
    "favicon-32x32.png": (SWAGGER_UI, "image/png"),
}

# Nothing is loaded from elsewhere, even if a package's next version would like to. Swagger UI styles its elements
# in place and draws its icons from data URLs.
POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"

# All of it is the same for everyone, and changes with the version of this service.
HEADERS = ("ETag", "Cache-Control")


def blueprint(document: Callable[[], dict[str, Any]]) -> Blueprint:
    """Return the page and what it needs; ``document`` returns the OpenAPI document once all routes are known."""
    routes = Blueprint("reference", "This documentation.")

    @cache
    def described() -> bytes:
        return json.dumps(document()).encode()

    @routes.operation("GET", "/openapi.json", answer={"type": "object"}, headers=HEADERS)
    def openapi() -> Response:
        """Describe this API as OpenAPI 3.1"""
        return answer(described(), media.JSON)

    @routes.operation("GET", "/reference", answer={"type": "string"}, headers=HEADERS, media_type="text/html")
    def reference() -> Response:
        """Show this documentation as a page that can send requests"""
        page = answer(read(PAGE / "index.html"), "text/html")
        page.headers["Content-Security-Policy"] = POLICY
        return page

    for name, (folder, kind) in ASSETS.items():
        asset(routes, folder / name, kind)
    return routes


def asset(routes: Blueprint, file: Path, kind: str) -> None:
    """Serve a file that the page loads; it is no operation of the API."""

    def view() -> Response:
        return answer(read(file), kind)

    view.__name__ = file.name.replace(".", "_")
    routes.operation("GET", f"/reference/{file.name}", media_type=kind, listed=False)(view)


@cache
def read(file: Path) -> bytes:
    """Return what is in a file of this version."""
    return file.read_bytes()


def answer(content: bytes, kind: str) -> Response:
    """Return the content with its digest as its tag, or a 304."""
    tag = sha256(content).hexdigest()[:32]
    headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
    if conditional.not_modified(tag):
        return conditional.without_body(headers)
    return Response(
        content, content_type=f"{kind}; charset=utf-8" if kind.startswith("text/") else kind, headers=headers
    )

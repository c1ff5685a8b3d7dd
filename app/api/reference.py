"""The OpenAPI document and the page that shows it, whole without any other host: Swagger UI comes from a package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import flask_swagger_ui
from flask import request

from app.api import change_tickets, changes, conflicts, documents, health, keys, metrics, projects, root, versions
from app.api.openapi import document
from app.http.answers import JSON, Answer
from app.http.operations import Routes
from app.services import Services
from app.urls import PATH_CHARACTERS

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
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# The same for everyone, and new with each version of this service.
HEADER_NAMES = ("ETag", "Cache-Control")


MODULES = (documents, projects, versions, conflicts, changes, change_tickets, keys, root, health, metrics)
TABLES = tuple(module.routes for module in MODULES)

routes = Routes("reference", "This documentation.")
blueprint = routes.blueprint


@lru_cache(maxsize=8)
def serialized(server_url: str) -> bytes:
    """Return the OpenAPI document of all operations, for an API with its root at ``server_url``."""
    return json.dumps(document((*TABLES, routes), server_url)).encode()


@routes.operation("GET", "/openapi.json", answer={"type": "object"}, headers=HEADER_NAMES)
def openapi(services: Services) -> Answer:
    """Describe this API as OpenAPI 3.1"""
    return answer(serialized(services.settings.public_url or quote(request.root_path, PATH_CHARACTERS) or "/"), JSON)


@routes.operation("GET", "/reference", answer={"type": "string"}, headers=HEADER_NAMES, media_type="text/html")
def reference() -> Answer:
    """Show this documentation as a page that can send requests"""
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
    return answer(read(PAGE / "index.html"), "text/html", headers)


def asset(file: Path, media_type: str) -> None:
    """Serve a file that the page loads; it is no operation of the API."""

    def view() -> Answer:
        return answer(read(file), media_type)

    view.__name__ = file.name.replace(".", "_")
    routes.operation("GET", f"/reference/{file.name}", media_type=media_type, is_listed=False)(view)


@cache
def read(file: Path) -> bytes:
    """Return the content of a file, which is the same for a version."""
    return file.read_bytes()


def answer(content: bytes, media_type: str, extra_headers: Mapping[str, str] | None = None) -> Answer:
    """Return the content with its digest as its tag."""
    content_type = f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
    tag = sha256(content).hexdigest()[:32]
    headers = {
        "Content-Type": content_type,
        "ETag": f'"{tag}"',
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return Answer(content, headers={**headers, **(extra_headers or {})})


for name, (folder, media_type) in ASSETS.items():
    asset(folder / name, media_type)

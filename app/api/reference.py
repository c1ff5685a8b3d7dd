"""The OpenAPI document and the page that shows it, whole without any other host: Swagger UI comes from a package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import flask_swagger_ui
from flask import Response, jsonify, send_file

from app.errors import NotFound
from app.http.blueprint import Blueprint

PAGE = Path(__file__).parent / "reference_page"
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"

ASSETS = {
    "start.js": PAGE / "start.js",
    "swagger-ui.css": SWAGGER_UI / "swagger-ui.css",
    "swagger-ui-bundle.js": SWAGGER_UI / "swagger-ui-bundle.js",
    "favicon-32x32.png": SWAGGER_UI / "favicon-32x32.png",
}

# Nothing is loaded from elsewhere, even if a package's next version would like to. Swagger UI styles its elements
# in place and draws its icons from data URLs.
POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"


def blueprint(document: Callable[[], dict[str, Any]]) -> Blueprint:
    """Return the page and what it needs; ``document`` returns the OpenAPI document once all routes are known."""
    routes = Blueprint("reference", "This documentation.")

    @routes.operation("GET", "/openapi.json")
    def openapi() -> Response:
        """Describe this API as OpenAPI 3.1"""
        return jsonify(document())

    @routes.operation("GET", "/reference", media_type="text/html")
    def reference() -> Response:
        """Show this documentation as a page that can send requests"""
        page = send_file(PAGE / "index.html", conditional=True)
        page.headers["Content-Security-Policy"] = POLICY
        return page

    def asset(name: str) -> Response:
        if name not in ASSETS:
            raise NotFound
        return send_file(ASSETS[name], conditional=True)

    # What the page loads is no operation of the API, so it passes by the document.
    flask.Blueprint.add_url_rule(routes, "/reference/<name>", "asset", asset)
    return routes

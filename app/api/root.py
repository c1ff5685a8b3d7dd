"""What a newcomer finds at `/`: which service this is, where its documentation is, and its limits."""

from __future__ import annotations

from typing import Any

from flask import request
from marshmallow import Schema, fields

from app.domain.services import Services
from app.http.blueprint import Blueprint
from app.http.strict_json import MAX_DEPTH, MAX_INTEGER
from app.version import VERSION


class RootSchema(Schema):
    """The service, its links as absolute URLs, and its limits."""

    name = fields.String(required=True)
    version = fields.String(required=True)
    links = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    limits = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


def blueprint(services: Services) -> Blueprint:
    """Return the root."""
    settings = services.settings
    routes = Blueprint("root", "The service itself.")
    limits = {
        "page_size": settings.page_size,
        "max_page_size": settings.max_page_size,
        "max_body_bytes": settings.max_body_bytes,
        "max_depth": MAX_DEPTH,
        "max_integer": MAX_INTEGER,
    }
    paths = ("documents", "projects", "openapi.json", "reference", "livez", "readyz")

    @routes.operation("GET", "/", answer=RootSchema())
    def root() -> dict[str, Any]:
        """Name the service, its links and its limits"""
        links = {path.removesuffix(".json"): request.url_root + path for path in paths}
        return {"name": "Dreamscript Database", "version": VERSION, "links": links, "limits": limits}

    return routes

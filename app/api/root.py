"""The entry at `/`: the name of the service, its links and its limits."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from flask import request
from marshmallow import Schema, fields

from app.http.answers import Answer
from app.http.operations import Routes
from app.http.strict_json import MAX_DEPTH, MAX_INTEGER
from app.version import VERSION
from app.wiring import Services

PATHS = ("reference", "openapi.json", "documents", "projects", "livez", "readyz")

routes = Routes("root", "The service itself.")
blueprint = routes.blueprint


class RootSchema(Schema):
    """The service, its links as absolute URLs, and its limits."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "Dreamscript Database",
            "version": VERSION,
            "links": {"reference": "https://api.dreamscript.example.com/reference"},
            "limits": {"page_size": 50, "max_page_size": 1000},
        }
    ]

    name = fields.String(required=True, metadata={"description": "The name of the service."})
    version = fields.String(required=True, metadata={"description": "The version of the service."})
    links = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True, metadata={"description": "Absolute URLs."}
    )
    limits = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "Items per page, bytes and depth of a body, and the largest integer in it."},
    )


@routes.operation("GET", "/", answer=RootSchema(), headers=("Cache-Control",))
def root(services: Services) -> Answer:
    """Name the service, its links and its limits"""
    settings = services.settings
    limits = {
        "page_size": settings.page_size,
        "max_page_size": settings.max_page_size,
        "max_body_bytes": settings.max_body_bytes,
        "max_depth": MAX_DEPTH,
        "max_integer": MAX_INTEGER,
    }
    links = {path.removesuffix(".json"): request.url_root + path for path in PATHS}
    content = {"name": "Dreamscript Database", "version": VERSION, "links": links, "limits": limits}
    # Indented for people with a browser.
    text = json.dumps(content, indent=2) + "\n"
    return Answer(text.encode(), headers={"Cache-Control": "no-cache"})

"""The entry at `/`: the name of the service, its links and its limits, as JSON or as a page for browsers."""

from __future__ import annotations

import json
import shlex
from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template
from typing import Any, ClassVar
from urllib.parse import quote

from flask import request
from marshmallow import Schema, fields

from app.http.accept import quality
from app.http.answers import JSON, Answer
from app.http.operations import Routes
from app.http.strict_json import MAX_DEPTH, MAX_INTEGER
from app.services import Services
from app.urls import PATH_CHARACTERS
from app.version import VERSION

HTML = "text/html"
PAGE, STYLE = (Path(__file__).with_name(f"root_page.{kind}") for kind in ("html", "css"))
# The page loads an icon of this service, applies its own style, and does nothing else.
POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'sha256-{digest}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Cache-Control": "no-cache", "Vary": "Accept"}
PATHS = ("reference", "openapi.json", "documents", "projects", "changes", "conflicts", "livez", "readyz")

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


@routes.operation("GET", "/", answer=RootSchema(), headers=HEADERS, other_media_types=(HTML,))
def root(services: Services) -> Answer:
    """Name the service, its links and its limits

    A client that prefers HTML, as browsers do, gets a page with the links.
    """
    accept = request.headers.get("Accept")
    if quality(accept, HTML) > quality(accept, JSON):
        return page()
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
    # Indented for people with a terminal.
    text = json.dumps(content, indent=2) + "\n"
    return Answer(text.encode(), headers=HEADERS)


def page() -> Answer:
    """Return the page. Its links have no host, so that they lead back through any proxy."""
    template, style, digest = sources()
    texts = {
        "root": quote(request.root_path, PATH_CHARACTERS),
        "url": shlex.quote(request.root_url),
        "documents": shlex.quote(f"{request.root_url}documents?limit=10"),
        "version": VERSION,
    }
    html = template.substitute({name: escape(text) for name, text in texts.items()}, style=style)
    headers = {
        **HEADERS,
        "Content-Type": f"{HTML}; charset=utf-8",
        "Content-Security-Policy": POLICY.format(digest=digest),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Answer(html.encode(), headers=headers)


@cache
def sources() -> tuple[Template, str, str]:
    """Return the template of the page, its style, and the digest that lets browsers apply just that style."""
    style = STYLE.read_text()
    return Template(PAGE.read_text()), style, b64encode(sha256(style.encode()).digest()).decode()

"""Keys over HTTP: the same rules as on the command line, and nobody makes a key that can do more than their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Response, g, url_for

from app.domain.keys.key import Key
from app.domain.listing.pages import Page
from app.http import item_responses as tagged
from app.http import paging
from app.http.blueprint import Blueprint
from app.schemas.keys import KeySchema, MintedKeySchema, NewKeySchema, RotationSchema
from app.schemas.pages import CursorQuery
from app.wiring import Services


def blueprint(services: Services) -> Blueprint:
    """Return the operations on keys."""
    keys = services.keys
    pages = paging.Paging.of(services)
    routes = Blueprint("keys", "Who may do what, and until when.", services)

    @routes.operation(
        "GET",
        "/keys",
        scope="keys:manage",
        query=CursorQuery,
        answer=KeySchema(many=True),
        headers=paging.HEADERS,
    )
    def list_keys(query: dict[str, Any]) -> Any:
        """List keys by id, without their secrets"""
        asked = pages.query(query)
        return pages.answer(asked, keys.page(asked, g.access), shown)

    @routes.operation(
        "POST",
        "/keys",
        scope="keys:manage",
        body=NewKeySchema,
        status=201,
        answer=MintedKeySchema(),
        secret=True,
        headers=("Location", "Cache-Control"),
    )
    def create_key(body: dict[str, Any]) -> Any:
        """Make a key, and show its secret this once"""
        return minted(*keys.create(**body, by=g.access))

    @routes.operation("GET", "/keys/<id:key_id>", scope="keys:manage", answer=KeySchema(), headers=tagged.HEADERS)
    def get_key(key_id: int) -> Any:
        """Read one key, without its secret"""
        key = keys.get(key_id, g.access)
        return tagged.answer(key.revision, key.shown)

    @routes.operation(
        "POST",
        "/keys/<id:key_id>/rotate",
        scope="keys:manage",
        body=RotationSchema,
        status=201,
        answer=MintedKeySchema(),
        secret=True,
        headers=("Location", "Cache-Control"),
        also=(409,),
    )
    def rotate_key(body: dict[str, Any], key_id: int) -> Any:
        """Make a key's successor, and show its secret this once"""
        return minted(*keys.rotate(key_id, body["overlap"], by=g.access))

    @routes.operation("DELETE", "/keys/<id:key_id>", scope="keys:manage", status=204)
    def revoke_key(key_id: int) -> Response:
        """End a key for ever"""
        keys.revoke(key_id, g.access)
        return tagged.nothing()

    return routes


def shown(page: Page) -> Page:
    """Return the page as JSON objects; its keys came with their rows."""
    return replace(page, items=tuple(key.shown for key in page.items))


def minted(key: Key, text: str) -> tuple[Any, dict[str, str]]:
    """Return the one answer that holds a key's text, which nothing on the way may keep."""
    location = url_for("keys.get_key", key_id=key.id, _external=True)
    return {**key.shown, "key": text}, {"Location": location, "Cache-Control": "no-store"}

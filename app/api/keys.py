"""Keys over HTTP, by the rules of the command line; a key can create no wider key than itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.domain.access import Access
from app.domain.keys.key import Key
from app.domain.listing.pages import Page
from app.http import conditional, item_responses, paging
from app.http.answer import Answer
from app.http.blueprint import Blueprint
from app.schemas.keys import KeySchema, MintedKeySchema, NewKeySchema, RotationSchema
from app.schemas.pages import CursorQuery
from app.wiring import Services


def blueprint(services: Services) -> Blueprint:
    """Return the operations on keys."""
    keys, pages = services.keys, paging.Paging.of(services)
    routes = Blueprint("keys", "API keys: their rights, and when they end.", services)

    @routes.operation(
        "GET",
        "/keys",
        scope="keys:manage",
        query=CursorQuery(),
        answer=KeySchema(many=True),
        headers=paging.HEADERS,
    )
    def list_keys(access: Access, query: dict[str, Any]) -> Answer:
        """List keys by id, without their secrets"""
        listing = pages.query(access, query)
        return pages.answer(access, listing, keys.page(listing, access), shown, render=list)

    @routes.operation(
        "POST",
        "/keys",
        scope="keys:manage",
        body=NewKeySchema(),
        status=201,
        answer=MintedKeySchema(),
        headers=("Location", "Cache-Control"),
        is_secret=True,
    )
    def create_key(access: Access, body: dict[str, Any]) -> Answer:
        """Create a key, and show its secret this once"""
        return minted(*keys.create(**body, by=access))

    @routes.operation(
        "GET", "/keys/<id:key_id>", scope="keys:manage", answer=KeySchema(), headers=item_responses.HEADERS
    )
    def get_key(access: Access, key_id: int) -> Answer:
        """Read one key, without its secret"""
        key = keys.get(key_id, access)
        return Answer(key.shown, headers=conditional.headers(key.revision))

    @routes.operation(
        "POST",
        "/keys/<id:key_id>/rotate",
        scope="keys:manage",
        body=RotationSchema(),
        status=201,
        answer=MintedKeySchema(),
        headers=("Location", "Cache-Control"),
        also=(409,),
        is_secret=True,
    )
    def rotate_key(access: Access, key_id: int, body: dict[str, Any]) -> Answer:
        """Create a key's successor, and show its secret this once"""
        return minted(*keys.rotate(key_id, body["overlap"], by=access))

    @routes.operation("DELETE", "/keys/<id:key_id>", scope="keys:manage", status=204)
    def revoke_key(access: Access, key_id: int) -> Answer:
        """Revoke a key permanently"""
        keys.revoke(key_id, access)
        return item_responses.NO_CONTENT

    return routes


def shown(_: Access, page: Page) -> Page:
    """Return the page with its keys as JSON objects; they were read with their rows."""
    return replace(page, items=tuple(key.shown for key in page.items))


def minted(key: Key, text: str) -> Answer:
    """Return the one answer that shows a key's text, which no cache on the way may store."""
    location = item_responses.location(f"keys/{key.id}")
    return Answer({**key.shown, "key": text}, headers={"Location": location, "Cache-Control": "no-store"})

"""Keys over HTTP, by the rules of the command line; a key can create no wider key than itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.domain.access import Access, Key
from app.domain.listing.pages import Page
from app.http import answers, arguments, paging
from app.http.answers import Answer
from app.http.operations import Routes
from app.schemas.keys import KeySchema, MintedKeySchema, NewKeySchema, RotationSchema
from app.schemas.pages import CursorQuery
from app.services import Services
from app.store.items import ANY

routes = Routes("keys", "API keys: their rights, and when they end.")
blueprint = routes.blueprint


@routes.operation(
    "GET",
    "/keys",
    scope="keys:manage",
    query=CursorQuery(),
    answer=KeySchema(many=True),
    headers=paging.HEADER_NAMES,
)
def list_keys(services: Services, access: Access, query: dict[str, Any]) -> Answer:
    """List keys by id, without their secrets"""
    listing = paging.list_query(services, access, query)
    return paging.page_answer(services, access, listing, services.keys.page(listing, access), shown, render=list)


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
def create_key(services: Services, access: Access, body: dict[str, Any]) -> Answer:
    """Create a key, and show its secret this once"""
    return minted(*services.keys.create(**body, by=access))


@routes.operation("GET", "/keys/<id:key_id>", scope="keys:manage", answer=KeySchema(), headers=answers.HEADER_NAMES)
def get_key(services: Services, access: Access, key_id: int) -> Answer:
    """Read one key, without its secret"""
    key = services.keys.get(key_id, access)
    return Answer(key.shown, headers=answers.tag_headers(key.revision))


@routes.operation(
    "POST",
    "/keys/<id:key_id>/rotate",
    scope="keys:manage",
    body=RotationSchema(),
    status=201,
    answer=MintedKeySchema(),
    headers=("Location", "Cache-Control"),
    also=(409, 412),
    is_secret=True,
)
def rotate_key(services: Services, access: Access, key_id: int, body: dict[str, Any]) -> Answer:
    """Create a key's successor, and show its secret this once"""
    check_condition(services, access, key_id)
    return minted(*services.keys.rotate(key_id, body["overlap"], by=access))


@routes.operation("DELETE", "/keys/<id:key_id>", scope="keys:manage", status=204, also=(412,))
def revoke_key(services: Services, access: Access, key_id: int) -> Answer:
    """Revoke a key permanently"""
    check_condition(services, access, key_id)
    services.keys.revoke(key_id, access)
    return answers.NO_CONTENT


def check_condition(services: Services, access: Access, key_id: int) -> None:
    """Raise PreconditionFailed unless the request's condition holds for the key, which is read only if there is one."""
    condition = arguments.condition()
    if condition != ANY:
        condition.check(services.keys.get(key_id, access).revision)


def shown(_: Access, page: Page) -> Page:
    """Return the page with its keys as JSON objects; they were read with their rows."""
    return replace(page, items=tuple(key.shown for key in page.items))


def minted(key: Key, text: str) -> Answer:
    """Return the one answer that shows a key's text, which no cache on the way may store."""
    location = answers.location(f"keys/{key.id}")
    return Answer({**key.shown, "key": text}, headers={"Location": location, **answers.NO_STORE})

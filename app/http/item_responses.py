"""Answers with one item or none: its tag is its revision, and a client that has it is spared the body."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.domain.rendered import RenderedItem
from app.http import conditional, media
from app.store.items import StoredItem

# The headers of such answers for the OpenAPI document.
HEADERS = conditional.NAMES
CREATED_HEADERS = (*HEADERS, "Location")


def answer(tag: str, content: Any) -> Response | tuple[Any, dict[str, str]]:
    """Return an item's content with its tag, or a 304."""
    headers = conditional.headers(tag)
    return conditional.without_body(headers) if conditional.not_modified(tag) else (content, headers)


def body(item: RenderedItem) -> Response:
    """Return what is there to be read of an item, without its tag."""
    return Response(media.line(item.body), mimetype=media.JSON)


def written(item: StoredItem) -> tuple[Any, dict[str, str]]:
    """Return an item as it is now, with its tag."""
    return item.fields, conditional.headers(item.revision)


def nothing() -> Response:
    """Return the answer that there is nothing to be shown of."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def created(item: StoredItem, location: str) -> tuple[Any, dict[str, str]]:
    """Return a new item with its tag and its place."""
    shown, headers = written(item)
    return shown, {**headers, "Location": location}

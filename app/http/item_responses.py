"""Answers with one item: its tag is its revision."""

from __future__ import annotations

from typing import Any

from flask import url_for

from app.domain.rendered import RenderedItem
from app.http import conditional, media
from app.http.answer import Answer
from app.store.items import StoredItem

# The headers of such answers for the OpenAPI document.
HEADERS = conditional.NAMES
CREATED_HEADERS = (*HEADERS, "Location")

NO_CONTENT = Answer(status=204)


def read(item: RenderedItem) -> Answer:
    """Return an item as it was read."""
    return Answer(media.line(item.body), headers=conditional.headers(item.revision))


def written(item: StoredItem) -> Answer:
    """Return an item as a write left it."""
    return Answer(item.fields, headers=conditional.headers(item.revision))


def created(item: StoredItem, endpoint: str, **path: Any) -> Answer:
    """Return a new item, with the URL of the endpoint that reads it."""
    return Answer(item.fields, headers={**conditional.headers(item.revision), "Location": location(endpoint, **path)})


def location(endpoint: str, **path: Any) -> str:
    """Return the absolute URL of an endpoint, such as ``documents.get_document``."""
    return url_for(endpoint, _external=True, **path)

"""Answers with one item: its tag is its revision."""

from __future__ import annotations

from flask import request

from app.domain.resources import RenderedItem
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


def created(item: StoredItem, path: str) -> Answer:
    """Return a new item, which can be read at ``path``."""
    return Answer(item.fields, headers={**conditional.headers(item.revision), "Location": location(path)})


def location(path: str) -> str:
    """Return the absolute URL of a path such as ``documents/1``."""
    return request.root_url + path

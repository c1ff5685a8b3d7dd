"""Answers with one item: its tag is its revision, and a client that has that revision is spared the body."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.domain.collection import Stored
from app.http import conditional

# The headers of such answers for the OpenAPI document.
HEADERS = conditional.NAMES
CREATED_HEADERS = (*HEADERS, "Location")


def answer(item: Stored) -> Response | tuple[Any, dict[str, str]]:
    """Return the item with its tag, or a 304."""
    headers = conditional.headers(item.revision)
    if conditional.not_modified(item.revision):
        return conditional.without_body(headers)
    return item.fields, headers


def created(item: Stored, location: str) -> tuple[Any, dict[str, str]]:
    """Return a new item with its tag and its place."""
    return item.fields, {**conditional.headers(item.revision), "Location": location}

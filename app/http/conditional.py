"""Entity tags, 304 and conditions: tags are made of revisions, never of a rendering (RFC 9110 section 13)."""

from __future__ import annotations

import re

from flask import Response, request

from app.domain.condition import Condition

# Opaque tags, whose text proxies may have changed by a weakness mark before or an encoding's name behind it.
TAG = re.compile(r'(?:W/)?"([^"]*)"')

HEADERS = {"Cache-Control": "private, no-cache", "Vary": "X-API-Key"}
NAMES = ("ETag", *HEADERS)


def headers(tag: str) -> dict[str, str]:
    """Return the headers that go with every readable item and page."""
    return {"ETag": f'"{tag}"', **HEADERS}


def tags(text: str) -> set[str]:
    """Return the opaque tags in a list of entity tags, without quotes, `W/` and `-gzip`; `*` stands for itself.

    The list is cut at its commas, which no tag of this service holds, and each part is looked at once as a whole, so
    that no header takes longer than its length. What is not an entity tag is passed over.
    """
    if text.strip() == "*":
        return {"*"}
    parts = (TAG.fullmatch(part.strip()) for part in text.split(","))
    return {part[1].removesuffix("-gzip") for part in parts if part} - {"*"}


def named(text: str) -> frozenset[str]:
    """Return the tags in a list of them, or the one that comes without its quotes."""
    bare = text.strip().removeprefix("W/").removesuffix("-gzip")
    return frozenset(tags(text) or {bare} - {"*"})


def not_modified(tag: str) -> bool:
    """Tell whether If-None-Match names ``tag``, so that the client has what would be sent."""
    return names(request.headers.get("If-None-Match", ""), tag)


def names(text: str, tag: str) -> bool:
    """Tell whether a list of entity tags names ``tag``, or any."""
    return not tags(text).isdisjoint({tag, "*"})


def wants_fresh() -> bool:
    """Tell whether the client takes nothing that was read before (RFC 9111, section 5.2.1)."""
    asked = request.cache_control
    return bool(asked.no_cache) or asked.max_age == 0


def condition() -> Condition:
    """Return what If-Match and If-None-Match demand of the revision that a write replaces."""
    demanded, refused = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    return Condition(None if demanded is None else frozenset(tags(demanded)), frozenset(tags(refused or "")))


def without_body(extra: dict[str, str]) -> Response:
    """Return the 304 with the headers that the 200 would have had."""
    response = Response(status=304, headers=extra)
    del response.headers["Content-Type"]
    return response

"""Entity tags, 304 and preconditions (RFC 9110, section 13). A tag comes from a revision, never from a rendering."""

from __future__ import annotations

import re

from flask import request

from app.domain.access import Condition

# An opaque tag. Proxies may put a weakness mark before it, or the name of an encoding at its end.
TAG = re.compile(r'(?:W/)?"([^"]*)"')

HEADERS = {"Cache-Control": "private, no-cache", "Vary": "X-API-Key"}
NAMES = ("ETag", *HEADERS)


def headers(tag: str) -> dict[str, str]:
    """Return the headers of every readable item and page."""
    return {"ETag": f'"{tag}"', **HEADERS}


def tags(text: str) -> set[str]:
    """Return the opaque tags in a list of entity tags, without quotes, `W/` and `-gzip`; `*` stands for itself.

    The list is split at its commas, which no tag of this service contains, so that a header costs time in proportion to
    its length. Anything that is not an entity tag is ignored.
    """
    if text.strip() == "*":
        return {"*"}
    parts = (TAG.fullmatch(part.strip()) for part in text.split(","))
    return {part[1].removesuffix("-gzip") for part in parts if part} - {"*"}


def tags_or_bare(text: str) -> frozenset[str]:
    """Return the tags in a list of entity tags, or a single tag that is written without its quotes."""
    bare = text.strip().removeprefix("W/").removesuffix("-gzip")
    return frozenset(tags(text) or {bare} - {"*"})


def if_none_match() -> set[str]:
    """Return the tags in If-None-Match."""
    return tags(request.headers.get("If-None-Match", ""))


def not_modified(tag: str) -> bool:
    """Return whether If-None-Match names ``tag``, so that the client already has the answer."""
    return not if_none_match().isdisjoint({tag, "*"})


def names(text: str, tag: str) -> bool:
    """Return whether a list of entity tags names ``tag``, or any tag."""
    return not tags(text).isdisjoint({tag, "*"})


def bypass_cache() -> bool:
    """Return whether the client accepts nothing from a cache (RFC 9111, section 5.2.1)."""
    cache_control = request.cache_control
    return bool(cache_control.no_cache) or cache_control.max_age == 0


def condition() -> Condition:
    """Return the condition that If-Match and If-None-Match put on the revision that a write replaces."""
    required, refused = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    return Condition(None if required is None else frozenset(tags(required)), frozenset(tags(refused or "")))

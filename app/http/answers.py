"""The answers of views: body, status and headers, and the entity tags of items and pages (RFC 9110, section 8.8.3)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import flask
from flask import request
from werkzeug.datastructures import Headers

from app.domain.resources import RenderedItem
from app.store.items import StoredItem

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

JSON = "application/json"
# An opaque tag. Proxies may put a weakness mark before it, or the name of an encoding at its end.
TAG = re.compile(r'(?:W/)?"([^"]*)"')
CACHING = {"Cache-Control": "private, no-cache", "Vary": "X-API-Key, Authorization"}
# Of items and of new items, for the OpenAPI document.
HEADER_NAMES = ("ETag", *CACHING)
CREATED_HEADER_NAMES = (*HEADER_NAMES, "Location")


@dataclass(frozen=True)
class Answer:
    """``body`` is bytes, or a value that the operation's schema renders, or None.

    ``status`` is the operation's own unless set. ``is_cacheable`` answers stay right until something in the operation's
    databases changes. ``is_retryable`` answers are not stored for repeated requests, which run again.
    """

    body: Any = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cacheable: bool = False
    is_retryable: bool = False

    @property
    def tag(self) -> str | None:
        """The entity tag without quotes, if the answer has one."""
        quoted = self.headers.get("ETag")
        return None if quoted is None else quoted.strip('"')


class Response(flask.Response):
    """A response of Flask whose body has a type only if one is set."""

    default_mimetype = None

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:  # noqa: ARG002
        """Return the headers unchanged: an answer declares its length, and its links are URIs already."""
        return self.headers


def to_response(answer: Answer, extra_headers: Mapping[str, str] | None = None) -> Response:
    """Return a rendered answer as Flask sends it, with further headers."""
    return Response([answer.body], answer.status, {**answer.headers, **(extra_headers or {})})


def json_line(value: object) -> bytes:
    """Return ``value`` as compact JSON in UTF-8. It ends with a line end, for people who read it on a terminal."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def line(body: bytes) -> bytes:
    """Return a body as it is sent: with a line end, for people who read it on a terminal."""
    return body + b"\n"


def array(items: Iterable[RenderedItem]) -> bytes:
    """Return a JSON array of rendered items as it is sent."""
    return b"[" + b",".join(item.body for item in items) + b"]\n"


def tag_headers(tag: str) -> dict[str, str]:
    """Return the headers of every readable item and page. A tag comes from a revision, never from a rendering."""
    return {"ETag": f'"{tag}"', **CACHING}


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


def names_tag(text: str | None, tag: str) -> bool:
    """Return whether a list of entity tags names ``tag``, or any tag."""
    return text is not None and not tags(text).isdisjoint({tag, "*"})


NO_CONTENT = Answer(status=204)


def read(item: RenderedItem) -> Answer:
    """Return an item as it was read."""
    return Answer(line(item.body), headers=tag_headers(item.revision))


def written(item: StoredItem) -> Answer:
    """Return an item as a write left it."""
    return Answer(item.fields, headers=tag_headers(item.revision))


def created(item: StoredItem, path: str) -> Answer:
    """Return a new item, which can be read at ``path``."""
    return Answer(item.fields, headers={**tag_headers(item.revision), "Location": location(path)})


def location(path: str) -> str:
    """Return the absolute URL of a path such as ``documents/1``."""
    return request.root_url + path

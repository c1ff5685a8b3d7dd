"""The answers of views: body, status and headers, and the entity tags of items and pages (RFC 9110, section 8.8.3)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import flask
from flask import request

from app.domain.items import Items
from app.domain.resources import RenderedItem, ResourceType
from app.http.waiting import EventStream, LongPoll, WaitingBody
from app.store.items import StoredItem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

JSON = "application/json"
# An opaque tag, perhaps with a weakness mark.
TAG = re.compile(r'(?:W/)?"([^"]*)"')
# A proxy that encodes a response may add the coding to its tag: Apache `-gzip`, Jetty `--gzip`, others `;gzip`. All
# registered codings of responses are here, lighttpd's `bzip2`, and no tag of this service ends like that.
CODINGS = ("gzip", "br", "zstd", "deflate", "compress", "dcb", "dcz", "bzip2")
CODING = re.compile(rf"(?:(?:--?|[;:+.])(?:x-)?(?:{'|'.join(CODINGS)})){{1,2}}\Z", re.IGNORECASE)
# For answers that no cache on the way may store.
NO_STORE = {"Cache-Control": "no-store"}
CACHING = {"Cache-Control": "private, no-cache", "Vary": "X-API-Key, Authorization"}
# Of all that has a tag, of items and of new items, for the OpenAPI document.
HEADER_NAMES = ("ETag", *CACHING)
CREATED_HEADER_NAMES = (*HEADER_NAMES, "Last-Modified", "Location")
ITEM_HEADER_NAMES = (*HEADER_NAMES, "Last-Modified", "x-conflict")
CONFLICT = {"x-conflict": "true"}
MAX_CACHED_DATES = 4096


@dataclass(frozen=True)
class Answer:
    """``body`` is bytes, or a value that the operation's schema renders, or None.

    ``status`` is the operation's own unless set. ``is_cacheable`` answers stay right until something in the operation's
    databases changes. ``is_retryable`` answers are not stored for repeated requests, which run again. ``is_uncounted``
    answers do not count against the rate limit, if the operation declares that there may be some. A client that is
    ``waiting`` gets this answer only if nothing changes, or as the beginning of a stream.
    """

    body: Any = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cacheable: bool = False
    is_retryable: bool = False
    is_uncounted: bool = False
    waiting: LongPoll | EventStream | None = None

    @property
    def tag(self) -> str | None:
        """The entity tag without quotes, if the answer has one."""
        quoted = self.headers.get("ETag")
        return None if quoted is None else quoted.strip('"')


class Response(flask.Response):
    """A response of Flask whose body has a type only if one is set."""

    default_mimetype = None
    waiting: LongPoll | EventStream | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send the answer as it is: it declares its length, its links are URIs, and its body is in one piece."""
        start_response(self.status, self.headers.to_wsgi_list())
        if self.waiting is not None:
            return WaitingBody(self.waiting, self.get_data())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else self.iter_encoded()


def to_response(answer: Answer, extra_headers: Mapping[str, str] | None = None) -> Response:
    """Return a rendered answer as Flask sends it, with further headers."""
    response = Response([answer.body], answer.status, {**answer.headers, **(extra_headers or {})})
    response.waiting = answer.waiting
    return response


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


def item_headers(item: RenderedItem) -> dict[str, str]:
    """Return the headers of an item that was read.

    Last-Modified is for people and logs: merges and other authors may leave it as it was, so no condition uses it.
    It is never in the future (RFC 9110, section 8.8.2.1), even where another clock is ahead.
    """
    headers = tag_headers(item.revision)
    if item.updated_at is not None:
        headers["Last-Modified"] = http_date(min(item.updated_at, int(time.time())))
    return headers | CONFLICT if item.is_conflicted else headers


@lru_cache(MAX_CACHED_DATES)
def http_date(seconds: int) -> str:
    """Return a time as HTTP writes it (RFC 9110, section 5.6.7)."""
    return formatdate(seconds, usegmt=True)


def tags(text: str) -> set[str]:
    """Return the opaque tags in a list of entity tags, without quotes, `W/` and codings; `*` stands for itself.

    The list is split at its commas, which no tag of this service contains, so that a header costs time in proportion to
    its length. Anything that is not an entity tag is ignored.
    """
    if text.strip() == "*":
        return {"*"}
    parts = (TAG.fullmatch(part.strip()) for part in text.split(","))
    return {without_coding(part[1]) for part in parts if part} - {"*"}


def without_coding(tag: str) -> str:
    """Return a tag without the content coding that a proxy has added."""
    # The search takes long compared with the rest of a cached response.
    return CODING.sub("", tag) if tag.lower().endswith(CODINGS) else tag


def tags_or_bare(text: str) -> frozenset[str]:
    """Return the tags in a list of entity tags, or a single tag that is written without its quotes."""
    bare = without_coding(text.strip().removeprefix("W/"))
    return frozenset(tags(text) or {bare} - {"*"})


def names_tag(text: str | None, tag: str) -> bool:
    """Return whether a list of entity tags names ``tag``, or any tag."""
    # Most clients send the one tag back as it is.
    return text is not None and (text == f'"{tag}"' or not tags(text).isdisjoint({tag, "*"}))


NO_CONTENT = Answer(status=204)


def read(item: RenderedItem) -> Answer:
    """Return an item as it was read."""
    return Answer(line(item.body), headers=item_headers(item))


def written(items: Items, item: StoredItem) -> Answer:
    """Return an item as a write left it."""
    return read(items.render(item))


def created(resource_type: ResourceType, item: StoredItem, path: str) -> Answer:
    """Return a new item, which can be read at ``path``."""
    rendered = RenderedItem.of(resource_type, item)
    return Answer(line(rendered.body), headers={**item_headers(rendered), "Location": location(path)})


def location(path: str) -> str:
    """Return the absolute URL of a path such as ``documents/1``."""
    return request.root_url + path

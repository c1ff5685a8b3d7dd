"""The headers of requests and responses as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any

from app.errors import ERRORS

# The headers of every counted answer.
RATE_LIMITS = ("RateLimit-Policy", "RateLimit")
REQUEST_ID = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$", "examples": ["0f3b7c1e5a9d4c26b8e2d47f91a6035c"]}
URL = {"type": "string", "format": "uri"}
# RFC 9110, section 8.8.3; a proxy may add the weakness mark.
ENTITY_TAG = {"type": "string", "pattern": '^(W/)?"[^"]*"$', "examples": ['"1-3f6081d2e1fe1c73d08d5ba9cb17a4ca"']}
# Visible ASCII, bare, or as a string of structured fields (RFC 9651, section 3.3.3).
IDEMPOTENCY_KEY = {
    "type": "string",
    "pattern": r'^([!#-~][!-~]{0,254}|"([!#-\[\]-~]|\\["\\]){1,255}")$',
}


def text(example: str, **schema: Any) -> dict[str, Any]:
    """Return the schema of a header with an example."""
    return {"type": "string", "examples": [example], **schema}


def _header(description: str, schema: dict[str, Any], *, always: bool = True) -> dict[str, Any]:
    return {"description": description, "required": always, "schema": schema}


RESPONSE_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": _header("The request's id, which the service's log has too.", REQUEST_ID),
    "ETag": _header(
        "The current tag, which changes if and only if the answer does. Send it back as `If-None-Match` or `If-Match`.",
        ENTITY_TAG,
    ),
    # Of an operation that can also answer with a stream.
    "ETagOfPoll": _header("The tag of a poll; a stream has none.", ENTITY_TAG, always=False),
    "Cache-Control": _header(
        "Who may store the answer; `no-cache` means: check the tag before each use (RFC 9111).",
        text("private, no-cache"),
    ),
    "Vary": _header("The request headers that the answer depends on.", text("X-API-Key, Authorization")),
    "Last-Modified": _header(
        "When the item was last updated, for people: a merge may leave it as it was. Use `ETag` for conditions.",
        text("Sat, 31 Jan 2026 12:00:00 GMT"),
        always=False,
    ),
    "x-conflict": _header(
        "The item has an open conflict: `GET …/conflicts` shows its versions. Absent otherwise.",
        {"type": "string", "enum": ["true"]},
        always=False,
    ),
    "Location": _header(
        "The absolute URL of the new item.", URL | {"examples": ["https://api.dreamscript.example/documents/3"]}
    ),
    "x-next": _header(
        "The absolute URL of the next page; absent on the last. Fetch it unchanged, or send its `cursor` with the same "
        "parameters.",
        URL | {"examples": ["https://api.dreamscript.example/documents?limit=2&cursor=2.iU4BnJpKCYx8"]},
        always=False,
    ),
    "Link": _header(
        "The next page as `rel=next` (RFC 8288).",
        text('<https://api.dreamscript.example/documents?limit=2&cursor=2.iU4BnJpKCYx8>; rel="next"'),
        always=False,
    ),
    "Referrer-Policy": _header(
        "No page that this answer leads to learns its URL.", {"type": "string", "enum": ["no-referrer"]}
    ),
    "Idempotency-Replayed": _header(
        "The answer is that of an earlier request with this `Idempotency-Key`.",
        {"type": "string", "enum": ["true"]},
        always=False,
    ),
    "WWW-Authenticate": _header(
        "How to authenticate (RFC 9110, section 11.6.1).", text('ApiKey realm="dreamscript", header="X-API-Key"')
    ),
    "Accept-Patch": _header(
        "The media types of a PATCH (RFC 5789, section 3.1).",
        text("application/json, application/merge-patch+json"),
        always=False,
    ),
    "Retry-After": _header(
        "Seconds to wait before a retry, where a retry can help.",
        {"type": "integer", "minimum": 0, "examples": [1]},
        always=False,
    ),
    "RateLimit-Policy": _header("The limit: `q` requests in any `w` seconds.", text('"read";q=600;w=60'), always=False),
    "RateLimit": _header(
        "The requests left, `r`, and the seconds until there is one more, `t`.", text('"read";r=599;t=60'), always=False
    ),
}

# A malformed X-Request-ID is replaced and not refused, so its schema has no pattern. Tags and keys have no example:
# tools send an example as it is, and a tag that is not current or a key that was used before is refused.
REQUEST_HEADERS: dict[str, dict[str, Any]] = {
    "If-None-Match": {
        "description": "Entity tags that the client has. A read is an empty 304 if one of them is current; a write is "
        "refused with 412.",
        "schema": {"type": "string"},
    },
    "If-Match": {
        "description": "Entity tags. One of them must be current, or the answer is 412.",
        "schema": {"type": "string"},
    },
    "Idempotency-Key": {
        "description": "The client's key for the request: 1 to 255 visible ASCII characters, bare or quoted, such as "
        "`import-2026-01-31-line-1`.",
        "schema": IDEMPOTENCY_KEY,
    },
    "Last-Event-ID": {
        "description": "The last `id` of a stream, to continue after it; it wins over `since`. Only for streams, and "
        "browsers send it by themselves.",
        "schema": {"type": "string"},
    },
    "X-Request-ID": {
        "description": "The client's id for the request: 1 to 128 of `A-Z a-z 0-9 . _ -`. Any other is replaced by a "
        "new one.",
        "schema": text("0f3b7c1e5a9d4c26b8e2d47f91a6035c"),
    },
}

# The headers of errors beside those on their classes, and the statuses that have them.
ERROR_STATUSES = frozenset(error.status for error in ERRORS)
ERROR_HEADERS: tuple[tuple[tuple[str, ...], frozenset[int]], ...] = (
    (("X-Request-ID", "Cache-Control", *RATE_LIMITS), ERROR_STATUSES),
    (("ETag",), frozenset({412})),
    (("Accept-Patch",), frozenset({415})),
    (("Idempotency-Replayed",), frozenset({400, 404, 409, 412})),
)

"""The headers of requests and answers for the OpenAPI document; operations refer to them by name."""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string"}


def _header(description: str, *, always: bool = True) -> dict[str, Any]:
    return {"description": description, "required": always, "schema": TEXT}


ANSWER_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": _header("The request's id, which the service's log has too."),
    "ETag": _header("Changes if and only if the answer does. Send it back as `If-None-Match` or `If-Match`."),
    "Cache-Control": _header("Who may store the answer; `no-cache` means: check the tag before each use (RFC 9111)."),
    "Vary": _header("Answers differ from key to key."),
    "Location": _header("The absolute URL of the new item."),
    "x-next": _header("The absolute URL of the next page; absent on the last.", always=False),
    "Link": _header("The next page as `rel=next` (RFC 8288).", always=False),
    "WWW-Authenticate": _header("How to authenticate (RFC 9110, section 11.6.1)."),
    "Retry-After": _header("Seconds to wait before a retry, where a retry can help.", always=False),
    "RateLimit-Policy": _header("The limit: `q` requests in any `w` seconds.", always=False),
    "RateLimit": _header("The requests left, `r`, and the seconds until there is one more, `t`.", always=False),
}

REQUEST_HEADERS: dict[str, dict[str, Any]] = {
    "If-None-Match": {
        "description": "Entity tags that the client has; the answer is an empty 304 if one of them is current.",
        "schema": TEXT,
    },
    "If-Match": {
        "description": "Entity tags, one of which must be current; otherwise the answer is 412.",
        "schema": TEXT,
    },
    "Idempotency-Key": {
        "description": "The client's key for the request: 1 to 255 visible ASCII characters, bare or quoted.",
        "schema": TEXT,
    },
    "X-Request-ID": {
        "description": "The client's id for the request: 1 to 128 of `A-Z a-z 0-9 . _ -`. It is generated if missing.",
        "schema": TEXT,
    },
}

"""The headers of requests and answers for the OpenAPI document: a row each, and operations refer to them by name."""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string"}


def _answered(description: str, *, always: bool = True) -> dict[str, Any]:
    return {"description": description, "required": always, "schema": TEXT}


ANSWER_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": _answered("The request's id, also in the service's log."),
    "ETag": _answered("Changes if and only if the answer does. Send it as `If-None-Match`."),
    "Cache-Control": _answered("Who may keep the answer: `no-cache` asks to check the tag first (RFC 9111)."),
    "Vary": _answered("Answers belong to the key that they were given to."),
    "Location": _answered("The absolute URL of the new item."),
    "x-next": _answered("The absolute URL of the next page; absent on the last.", always=False),
    "Link": _answered("The next page once more, as `rel=next` (RFC 8288).", always=False),
    "WWW-Authenticate": _answered("How to authenticate (RFC 9110, section 11.6.1)."),
    "Retry-After": _answered("Seconds after which to try again, where that helps.", always=False),
    "RateLimit-Policy": _answered("What is limited: `q` requests in any `w` seconds.", always=False),
    "RateLimit": _answered("How many requests are left, `r`, and in how many seconds it is more, `t`.", always=False),
}

REQUEST_HEADERS: dict[str, dict[str, Any]] = {
    "If-None-Match": {
        "description": "Entity tags that you have; the answer is 304 and empty while one of them is current.",
        "schema": TEXT,
    },
    "If-Match": {
        "description": "Entity tags of which one must be current, else the answer is 412.",
        "schema": TEXT,
    },
    "Idempotency-Key": {
        "description": "Your name for the request, 1 to 255 visible ASCII characters, bare or as a quoted string.",
        "schema": TEXT,
    },
    "X-Request-ID": {
        "description": "Your id for the request, 1 to 128 of `A-Z a-z 0-9 . _ -`; else one is made.",
        "schema": TEXT,
    },
}

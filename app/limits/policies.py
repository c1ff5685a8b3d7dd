"""Parses DREAMSCRIPT_RATE_LIMIT and DREAMSCRIPT_RATE_LIMIT_STORAGE."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import limits

READ, WRITE, FAILED = "read", "write", "failed"
MEMORY = "memory://"

PART = re.compile(rf"({READ}|{WRITE})=([1-9][0-9]{{0,4}}/(?:second|minute|hour|day))", re.ASCII)


@dataclass(frozen=True)
class Policy:
    """At most ``item.amount`` requests of one principal or address in any ``item.get_expiry()`` seconds."""

    name: str
    item: limits.RateLimitItem


def policies(text: str) -> tuple[Policy, ...]:
    """Return the read and write policies in ``text``, and one for failed attempts as large as reads; none for "off".

    Raises ValueError.
    """
    if text == "off":
        return ()
    matches = [PART.fullmatch(part.strip()) for part in text.split(",")]
    items = {match[1]: limits.parse(match[2]) for match in matches if match}
    if not all(matches) or len(matches) != 2 or set(items) != {READ, WRITE}:
        raise ValueError(
            "off, or both limits such as read=600/minute,write=300/minute:"
            " each 1 to 99999 requests per second, minute, hour or day"
        )
    return Policy(READ, items[READ]), Policy(WRITE, items[WRITE]), Policy(FAILED, items[READ])


def storage(text: str) -> str:
    """Return the URL of a storage. Raises ValueError without the URL in its text, since that may hold a password."""
    try:
        parts = urlsplit(text)
        usable = text == MEMORY or (parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("memory://, or redis://host:port/number (rediss:// for TLS)")
    return text

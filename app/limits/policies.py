"""The policies that requests are limited by, as DREAMSCRIPT_RATE_LIMIT writes them, and the names of storages."""

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
    """At most ``item.amount`` requests in any ``item.get_expiry()`` seconds, for each of those who are counted."""

    name: str
    item: limits.RateLimitItem


def policies(text: str) -> tuple[Policy, ...]:
    """Return the policies that ``text`` names and the one for failed attempts, as large as reading; none for "off".

    Raises ValueError.
    """
    if text == "off":
        return ()
    matches = [PART.fullmatch(part.strip()) for part in text.split(",")]
    found = {match[1]: limits.parse(match[2]) for match in matches if match}
    if not all(matches) or len(matches) != 2 or set(found) != {READ, WRITE}:
        raise ValueError(
            "off, or both limits such as read=600/minute,write=300/minute:"
            " each 1 to 99999 requests per second, minute, hour or day"
        )
    return Policy(READ, found[READ]), Policy(WRITE, found[WRITE]), Policy(FAILED, found[READ])


def storage(text: str) -> str:
    """Return the URL of a storage. Raises ValueError, whose text never holds the URL, which may hold a password."""
    try:
        parts = urlsplit(text)
        usable = text == MEMORY or (parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("memory://, or redis://host:port/number (rediss:// for TLS)")
    return text

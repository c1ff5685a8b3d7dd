"""Parses DREAMSCRIPT_RATE_LIMIT and DREAMSCRIPT_RATE_LIMIT_STORAGE."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

import limits

READ, WRITE, FAILED = "read", "write", "failed"
MEMORY = "memory://"

REDIS = re.compile(r"rediss?://")
DATABASE = re.compile(r"(?:/[0-9]*)?", re.ASCII)
PART = re.compile(rf"({READ}|{WRITE})=([1-9][0-9]{{0,4}}/(?:second|minute|hour|day))", re.ASCII)


class Policy(NamedTuple):
    """At most ``amount`` requests of one principal or address in any ``seconds`` seconds."""

    name: str
    amount: int
    seconds: int


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
    sizes = {name: (item.amount, item.get_expiry()) for name, item in items.items()}
    return Policy(READ, *sizes[READ]), Policy(WRITE, *sizes[WRITE]), Policy(FAILED, *sizes[READ])


def is_redis(url: str) -> bool:
    """Return whether redis-py takes ``url`` as it is meant. It ignores a database that is not a number."""
    try:
        parts = urlsplit(url)
        has_address = parts.hostname and parts.port != 0
    except ValueError:
        return False
    is_plain = REDIS.match(url) and DATABASE.fullmatch(parts.path) and not (parts.query or parts.fragment)
    return bool(has_address and is_plain)


def storage(text: str) -> str:
    """Return the URL of a storage. Raises ValueError without the URL in its text, since that may hold a password."""
    if text != MEMORY and not is_redis(text):
        raise ValueError("memory://, or redis://host:port/number (rediss:// for TLS)")
    return text

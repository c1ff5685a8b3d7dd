"""The settings of the service that need none of its packages, so a fault is reported before anything is installed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from couchapp.settings import SettingError, one_of, setting
from launcher.address import AddressSettings

# A pending request is given up some time after this (docs/decisions/writes.md), so no request may live longer.
MAX_DEADLINE_SECONDS = 60.0


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text, re.ASCII):
        raise ValueError("a whole number from 1 to 999999999")
    return int(text)


def natural(text: str) -> int:
    """Return a whole number of at least 0."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,8}", text, re.ASCII):
        raise ValueError("a whole number from 0 to 999999999")
    return int(text)


def whole_seconds(text: str) -> int:
    """Return a whole number of seconds of at least 1, written as 75 or 75s."""
    try:
        return positive(text.removesuffix("s"))
    except ValueError as error:
        raise ValueError("a whole number of seconds from 1 to 999999999, such as 75") from error


def body_bytes(text: str) -> int:
    """Return a size that leaves room in CouchDB's limit of 8,000,000 bytes for the members stored with a body."""
    if not re.fullmatch(r"[1-9][0-9]{0,6}", text, re.ASCII) or int(text) > 7_000_000:
        raise ValueError("a number of bytes from 1 to 7000000; CouchDB takes no document over 8000000")
    return int(text)


def seconds(text: str) -> float:
    """Return a duration above zero, written as 5, 2.5 or 5s."""
    value = float(text.rstrip("s")) if re.fullmatch(r"[0-9]+(\.[0-9]+)?s?", text) else 0.0
    if not 0 < value <= MAX_DEADLINE_SECONDS:
        raise ValueError(f"a number of seconds above 0 and up to {MAX_DEADLINE_SECONDS:.0f}, such as 5 or 2.5")
    return value


def secret_list(text: str) -> tuple[str, ...]:
    """Return the secrets of a comma-separated list; the texts never appear in an error."""
    secrets = tuple(part.strip() for part in text.split(",")) if text else ()
    if not all(secrets):
        raise ValueError("one or more secrets separated by commas, none of them empty")
    return secrets


@dataclass(frozen=True)
class LaunchSettings(AddressSettings):
    """The settings that are checked before anything is installed."""

    secrets: tuple[str, ...] = setting(
        "DREAMSCRIPT_SECRET_KEY",
        "",
        "Encrypts cursors, signs tickets and reservations, peppers key digests. To rotate it, set a list: new,old.",
        secret_list,
        shown="made by `make run` into `var/secret-key`",
        secret=True,
    )
    workers: int = setting(
        "DREAMSCRIPT_WORKERS", str(os.cpu_count() or 1), "Server processes.", positive, shown="number of cores"
    )
    page_size: int = setting("DREAMSCRIPT_PAGE_SIZE", "50", "Items on a page when `limit` is absent.", positive)
    max_page_size: int = setting("DREAMSCRIPT_MAX_PAGE_SIZE", "1000", "Items on a page at most.", positive)
    max_body_bytes: int = setting(
        "DREAMSCRIPT_MAX_BODY_BYTES", "1048576", "A larger request body is a 413.", body_bytes
    )
    cache_bytes: int = setting(
        "DREAMSCRIPT_CACHE_BYTES",
        "67108864",
        "Memory that each server process uses to cache documents; it uses a quarter more for projects and pages.",
        positive,
    )
    out_of_scope: str = setting(
        "DREAMSCRIPT_OUT_OF_SCOPE",
        "forbid",
        "The answer to a limited key outside its limits: `forbid` (403) or `hide` (404); a key may override it.",
        one_of("forbid", "hide"),
    )
    region: int = setting(
        "DREAMSCRIPT_REGION", "0", "This region's number; the regions share the ids by turns.", natural
    )
    regions: int = setting("DREAMSCRIPT_REGIONS", "1", "The number of regions.", positive)
    deadline: float = setting(
        "DREAMSCRIPT_DEADLINE", "5", "Seconds within which each request is answered, at most 60.", seconds
    )
    keep_alive: int = setting(
        "DREAMSCRIPT_KEEP_ALIVE", "75", "Seconds that an idle connection is kept open.", whole_seconds
    )
    log: str = setting(
        "DREAMSCRIPT_LOG",
        "auto",
        "The form of the log on stderr: `text` for people, `json` for machines; `auto`: text on a terminal, else JSON.",
        one_of("auto", "text", "json"),
    )
    trusted_proxies: int = setting(
        "DREAMSCRIPT_TRUSTED_PROXIES",
        "0",
        "How many proxies to believe for scheme, host, port, path prefix and client address.",
        natural,
    )

    @classmethod
    def parse(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings in ``environ``. Raises SettingError, which lists every faulty setting."""
        settings = super().parse(environ)
        if settings.region >= settings.regions:
            regions = f"DREAMSCRIPT_REGIONS, which is {settings.regions}"
            raise SettingError(f"DREAMSCRIPT_REGION must be below {regions}, not {settings.region}")
        return settings

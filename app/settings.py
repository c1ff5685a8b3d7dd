"""Every setting of the service: a row each in SETTINGS, and Settings, which holds their values."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.limits.policies import MEMORY, Policy, policies, storage
from app.local_couchdb.settings import SETTINGS as DATABASE_SETTINGS
from couchapp.settings import COUCHDB_URL, DATABASE_PREFIX, VAR, Setting, SettingError, local_url
from couchapp.settings import SETTINGS as COUCHAPP_SETTINGS

# A batch may be so many times as large as what comes alone.
BATCHED = 8
# What a request has begun is taken for given up some time after it (docs/decisions/writes.md), so none may live longer.
LONGEST_DEADLINE = 60.0


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise ValueError("a whole number of at least 1")
    return int(text)


def natural(text: str) -> int:
    """Return a whole number of at least 0."""
    return 0 if text == "0" else positive(text)


def port(text: str) -> int:
    """Return a TCP port, where 0 asks the system for a free one."""
    if natural(text) > 65535:
        raise ValueError("a port, 0 to 65535")
    return int(text)


def body_bytes(text: str) -> int:
    """Return a size that fits into what CouchDB takes, 8,000,000 bytes, with what is stored beside it."""
    if positive(text) > 7_000_000:
        raise ValueError("a number of bytes from 1 to 7000000; CouchDB takes no document over 8000000")
    return int(text)


def deadline(text: str) -> float:
    """Return a duration above zero, written as 5, 2.5 or 5s."""
    found = float(text.rstrip("s")) if re.fullmatch(r"[0-9]+(\.[0-9]+)?s?", text) else 0.0
    if not 0 < found <= LONGEST_DEADLINE:
        raise ValueError(f"a number of seconds above 0 and up to {LONGEST_DEADLINE:.0f}, such as 5 or 2.5")
    return found


def one_of(*words: str) -> Callable[[str], str]:
    """Return a parser that takes these words only."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(" or ".join(words))
        return text

    return parse


def secrets(text: str) -> tuple[str, ...]:
    """Return the secrets of a comma-separated list; the texts never appear in an error."""
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise ValueError("one or more secrets separated by commas, none of them empty")
    return parts


SECRET_KEY = Setting(
    "DREAMSCRIPT_SECRET_KEY",
    None,
    "Signs cursors and peppers key digests. A comma-separated list rotates it: the first signs, all verify.",
    secrets,
    shown="made by `make run` into `var/secret-key`",
)
HOST = Setting("DREAMSCRIPT_HOST", "127.0.0.1", "The address to listen on.")
PORT = Setting("DREAMSCRIPT_PORT", "8000", "The port to listen on.", port)
WORKERS = Setting(
    "DREAMSCRIPT_WORKERS", str(os.cpu_count() or 1), "Server processes.", positive, shown="number of cores"
)
PAGE_SIZE = Setting("DREAMSCRIPT_PAGE_SIZE", "50", "Items on a page when `limit` is absent.", positive)
MAX_PAGE_SIZE = Setting("DREAMSCRIPT_MAX_PAGE_SIZE", "1000", "Items on a page at most.", positive)
MAX_BODY_BYTES = Setting("DREAMSCRIPT_MAX_BODY_BYTES", "1048576", "A larger request body is a 413.", body_bytes)
CACHE_BYTES = Setting(
    "DREAMSCRIPT_CACHE_BYTES",
    "67108864",
    "Memory that each server process keeps documents in; a quarter more goes to projects and to pages.",
    positive,
)
OUT_OF_SCOPE = Setting(
    "DREAMSCRIPT_OUT_OF_SCOPE",
    "forbid",
    "What a limited key is told of what is beyond it: `forbid` (403) or `hide` (404); a key may say otherwise.",
    one_of("forbid", "hide"),
)
REGION = Setting("DREAMSCRIPT_REGION", "0", "This region's number; ids are dealt out by turns.", natural)
REGIONS = Setting("DREAMSCRIPT_REGIONS", "1", "How many regions there are.", positive)
DEADLINE = Setting("DREAMSCRIPT_DEADLINE", "5", "Seconds that no request outlives, at most 60.", deadline)
TRUSTED_PROXIES = Setting(
    "DREAMSCRIPT_TRUSTED_PROXIES",
    "0",
    "How many proxies to believe for scheme, host and client address.",
    natural,
)

RATE_LIMIT = Setting(
    "DREAMSCRIPT_RATE_LIMIT",
    "read=600/minute,write=300/minute",
    "Requests of one principal in any second, minute, hour or day; off: no limits.",
    policies,
)
RATE_LIMIT_STORAGE = Setting(
    "DREAMSCRIPT_RATE_LIMIT_STORAGE",
    MEMORY,
    "Where requests are counted: memory:// for each host, redis://host:port/number for all that share it.",
    storage,
)

SETTINGS: tuple[Setting, ...] = (
    *COUCHAPP_SETTINGS,
    *DATABASE_SETTINGS,
    SECRET_KEY,
    HOST,
    PORT,
    WORKERS,
    PAGE_SIZE,
    MAX_PAGE_SIZE,
    MAX_BODY_BYTES,
    CACHE_BYTES,
    OUT_OF_SCOPE,
    REGION,
    REGIONS,
    DEADLINE,
    TRUSTED_PROXIES,
    RATE_LIMIT,
    RATE_LIMIT_STORAGE,
)


def secret_file(environ: Mapping[str, str]) -> Path:
    """Return the file that holds the secret which `make run` made."""
    var: Path = VAR.read(environ)
    return var / "secret-key"


@dataclass(frozen=True)
class Settings:
    """The values of all settings that the serving process and its command line use."""

    couchdb_url: str = field(repr=False)
    prefix: str
    secrets: tuple[str, ...] = field(repr=False)
    host: str
    port: int
    workers: int
    page_size: int
    max_page_size: int
    max_body_bytes: int
    cache_bytes: int
    out_of_scope: str
    region: int
    regions: int
    deadline: float
    trusted_proxies: int
    rate_limit: tuple[Policy, ...]
    rate_limit_storage: str = field(repr=False)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings in ``environ``, with what a running `make run` left in var/ for what is not set.

        Raises SettingError, whose message names the setting.
        """
        settings = cls(
            couchdb_url=_value_or_file(COUCHDB_URL, local_url(environ), environ),
            prefix=DATABASE_PREFIX.read(environ),
            secrets=_value_or_file(SECRET_KEY, secret_file(environ), environ),
            host=HOST.read(environ),
            port=PORT.read(environ),
            workers=WORKERS.read(environ),
            page_size=PAGE_SIZE.read(environ),
            max_page_size=MAX_PAGE_SIZE.read(environ),
            max_body_bytes=MAX_BODY_BYTES.read(environ),
            cache_bytes=CACHE_BYTES.read(environ),
            out_of_scope=OUT_OF_SCOPE.read(environ),
            region=REGION.read(environ),
            regions=REGIONS.read(environ),
            deadline=DEADLINE.read(environ),
            trusted_proxies=TRUSTED_PROXIES.read(environ),
            rate_limit=RATE_LIMIT.read(environ),
            rate_limit_storage=RATE_LIMIT_STORAGE.read(environ),
        )
        if settings.region >= settings.regions:
            raise SettingError("DREAMSCRIPT_REGION must be below DREAMSCRIPT_REGIONS")
        return settings


def _value_or_file(setting: Setting, file: Path, environ: Mapping[str, str]) -> Any:
    """Return the value of ``setting``, else the one that `make run` left in ``file``."""
    if not environ.get(setting.name) and file.exists():
        environ = {setting.name: file.read_text().strip()}
    value = setting.read(environ)
    if value is None:
        raise SettingError(f"{setting.name} must be set, or `make run` be running beside: commands find what it set up")
    return value

"""Every setting of the service, each declared once: name, default, help and parser."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from app.limits.policies import MEMORY, Policy, policies, storage
from app.local_couchdb.settings import LocalSettings
from app.retention import Retention
from app.urls import ANY_ORIGIN, origins, public_url
from couchapp.settings import NO_DATABASE, SettingError, one_of, setting
from launcher.address import AddressSettings

# A batch may be this many times as large as any other request body.
BATCH_BODY_FACTOR = 8
# A pending request is given up some time after this (docs/decisions/writes.md), so no request may live longer.
MAX_DEADLINE_SECONDS = 60.0
# A generated secret has far more of both.
MIN_SECRET_CHARS = 16
MIN_SECRET_VARIETY = 8
GENERATOR = "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"


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


def weaknesses(secrets: Sequence[str]) -> list[str]:
    """Return a sentence for each secret that can be guessed: a short one, or one of few different characters."""
    sentences = []
    for number, secret in enumerate(secrets, 1):
        name = f"secret {number} of {len(secrets)}" if len(secrets) > 1 else "the secret"
        if len(secret) < MIN_SECRET_CHARS or len(set(secret)) < MIN_SECRET_VARIETY:
            sentences.append(
                f"DREAMSCRIPT_SECRET_KEY must be hard to guess: {name} has {len(secret)} characters,"
                f" {len(set(secret))} of them different, and needs {MIN_SECRET_CHARS} and {MIN_SECRET_VARIETY};"
                f" make one with: {GENERATOR}"
            )
    return sentences


@dataclass(frozen=True)
class Settings(LocalSettings, AddressSettings):
    """The settings of the serving process and of its command line."""

    secrets: tuple[str, ...] = setting(
        "DREAMSCRIPT_SECRET_KEY",
        "",
        "Signs cursors and peppers key digests. A comma-separated list rotates it: the first signs, all verify.",
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
    keep_alive: int = setting("DREAMSCRIPT_KEEP_ALIVE", "75", "Seconds that an idle connection is kept open.", positive)
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
    public_url: str = setting(
        "DREAMSCRIPT_PUBLIC_URL",
        "",
        "The URL that links begin with, such as https://example/api, whatever a request or a proxy reports.",
        public_url,
    )
    cors_origins: tuple[str, ...] = setting(
        "DREAMSCRIPT_CORS_ORIGINS",
        ANY_ORIGIN,
        "The origins whose pages may call the API, separated by commas; *: all of them; off: none.",
        origins,
    )
    history: Retention | None = setting(
        "DREAMSCRIPT_HISTORY",
        "90d/100",
        "How long and how many superseded versions are kept for each item, as 90d/100; off: no new ones are captured.",
        Retention.parse,
    )
    rate_limit: tuple[Policy, ...] = setting(
        "DREAMSCRIPT_RATE_LIMIT",
        "read=600/minute,write=300/minute",
        "Requests of one principal in any second, minute, hour or day; off: no limits.",
        policies,
    )
    rate_limit_storage: str = setting(
        "DREAMSCRIPT_RATE_LIMIT_STORAGE",
        MEMORY,
        "Where requests are counted: memory:// for each host, redis://host:port/number for all hosts that share it.",
        storage,
        secret=True,
    )

    @classmethod
    def parse(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings in ``environ``. Raises SettingError, which lists every faulty setting."""
        settings = super().parse(environ)
        if settings.region >= settings.regions:
            regions = f"DREAMSCRIPT_REGIONS, which is {settings.regions}"
            raise SettingError(f"DREAMSCRIPT_REGION must be below {regions}, not {settings.region}")
        return settings

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings in ``environ``, and for an absent URL or secret the one that `make run` left in var/.

        Raises SettingError if there is neither, and for a weak secret unless the database is that of `make run`.
        """
        local = cls(var=Path(environ.get("DREAMSCRIPT_VAR") or cls.var))
        url = environ.get("COUCHDB_URL") or local.local_url
        secret = environ.get("DREAMSCRIPT_SECRET_KEY") or local.local_secret
        faults = [] if url else [NO_DATABASE.format(var=local.var)]
        if not secret:
            faults.append(f"DREAMSCRIPT_SECRET_KEY must be set; make one with: {GENERATOR}")
        elif environ.get("COUCHDB_URL") or not url:
            faults += weaknesses(secret_list(secret) if all(secret.split(",")) else ())
        try:
            settings = cls.parse({**environ, "COUCHDB_URL": url, "DREAMSCRIPT_SECRET_KEY": secret})
        except SettingError as error:
            faults = [*error.faults, *faults]
        if faults:
            raise SettingError(*faults)
        return settings

    @property
    def secret_file(self) -> Path:
        """The file that holds the secret that `make run` made."""
        return self.var / "secret-key"

    @property
    def local_secret(self) -> str:
        """The secret that `make run` made, empty if there is none."""
        return self.secret_file.read_text().strip() if self.secret_file.exists() else ""


SETTINGS = Settings.rows()

"""Every setting of the service, each declared once: name, default, help and parser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from app.limits.policies import MEMORY, Policy, policies, storage
from app.local_couchdb.settings import LocalSettings
from app.retention import Retention
from app.urls import ANY_ORIGIN, origins, public_url
from couchapp.settings import NO_DATABASE, SettingError, setting
from launcher.settings import LaunchSettings, secret_list

# A batch may be this many times as large as any other request body.
BATCH_BODY_FACTOR = 8
# A generated secret has far more of both.
MIN_SECRET_CHARS = 16
MIN_SECRET_VARIETY = 8
GENERATOR = "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"


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
class Settings(LocalSettings, LaunchSettings):
    """The settings of the serving process and of its command line."""

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
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings in ``environ``, and for an absent URL or secret the one that `make run` left in var/.

        Raises SettingError if there is neither, and for a weak secret unless the database is that of `make run`.
        """
        environ = {name: text.strip() for name, text in environ.items()}
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

"""Declares a setting once, as a field of a dataclass; --help and the documentation read the same declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Self


class SettingError(ValueError):
    """A setting has a value that cannot be used; the message names the setting and the values that it accepts."""


@dataclass(frozen=True)
class Setting:
    """One environment variable: its name, its default as text, and a sentence for --help and the documentation.

    ``parse`` turns text into a value and raises ValueError, whose message completes "NAME must be …". It also parses
    the default, which is empty where the setting may be absent. ``shown`` is what the documentation prints where the
    default is computed.
    """

    name: str
    default: str
    help: str
    parse: Callable[[str], Any] = str
    shown: str | None = None

    def read(self, environ: Mapping[str, str]) -> Any:
        """Return the value in ``environ``, where an empty text counts as absent. Raises SettingError."""
        try:
            return self.parse(environ.get(self.name) or self.default)
        except ValueError as error:
            raise SettingError(f"{self.name} must be {error}") from error

    @property
    def shown_default(self) -> str:
        """The default as the documentation prints it."""
        return self.shown or self.default or "none"


def setting(
    name: str,
    default: str,
    help: str,  # noqa: A002
    parse: Callable[[str], Any] = str,
    *,
    shown: str | None = None,
    secret: bool = False,
) -> Any:
    """Return a dataclass field for a Setting; the value of a ``secret`` one is left out of ``repr``."""
    row = Setting(name, default, help, parse, shown)
    return field(default=row.read({}), repr=not secret, metadata={"setting": row})


def row_of(declared: Field[Any]) -> Setting:
    """Return the Setting that a field was declared with."""
    row: Setting = declared.metadata["setting"]
    return row


def http_url(text: str) -> str:
    """Return an http or https URL without a trailing slash; the text never appears in an error."""
    if text and not text.startswith(("http://", "https://")):
        raise ValueError("an http:// or https:// URL")
    return text.rstrip("/")


def database_prefix(text: str) -> str:
    """Return a text that CouchDB accepts at the beginning of a database name."""
    letters = text.replace("-", "").replace("_", "")
    if not (letters.isascii() and letters.isalnum() and letters == letters.lower() and text[0].isalpha()):
        raise ValueError("lower-case letters, digits, - and _, a letter first")
    return text


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a parser that accepts only ``choices``."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return parse


@dataclass(frozen=True)
class CouchSettings:
    """The settings of the deploy tool: which databases, and how to reach them. Unset URLs are empty."""

    couchdb_url: str = setting(
        "COUCHDB_URL",
        "",
        "The database server, as http://user:password@host:port. If it is not set, make run starts a database.",
        http_url,
        shown="a database of its own",
        secret=True,
    )
    couchdb_admin_url: str = setting(
        "COUCHDB_ADMIN_URL",
        "",
        "The same server with an administrator's credentials; only deploy and other operator commands use it.",
        http_url,
        shown="`COUCHDB_URL`",
        secret=True,
    )
    prefix: str = setting(
        "DREAMSCRIPT_DATABASE_PREFIX",
        "dreamscript",
        "Databases are named `<prefix>-documents`, `-projects`, `-keys` and `-meta`.",
        database_prefix,
    )
    var: Path = setting(
        "DREAMSCRIPT_VAR",
        str(Path(__file__).parent.parent / "var"),
        "The folder for the database, the secret and the development key of make run.",
        Path,
        shown="`var/` of the project",
    )

    @classmethod
    def rows(cls) -> tuple[Setting, ...]:
        """Return the declarations of all settings, in order."""
        return tuple(row_of(declared) for declared in fields(cls))

    @classmethod
    def parse(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings in ``environ``. Raises SettingError."""
        return cls(**{declared.name: row_of(declared).read(environ) for declared in fields(cls)})

    @classmethod
    def help(cls) -> str:
        """Return all settings as lines of text for --help."""
        return "\n".join(f"  {row.name} (default: {row.shown_default})\n      {row.help}" for row in cls.rows())

    @property
    def url_file(self) -> Path:
        """The file that holds the URL of the database that a running `make run` has started."""
        return self.var / "couchdb-url"

    @property
    def admin_url(self) -> str:
        """The URL for operator commands: the one set, or that of the database of a running `make run`.

        Raises SettingError if there is neither.
        """
        url = self.couchdb_admin_url or self.couchdb_url
        if not url and self.url_file.exists():
            url = self.url_file.read_text().strip()
        if not url:
            raise SettingError("COUCHDB_URL must be set, unless `make run` is running: commands find its database")
        return url

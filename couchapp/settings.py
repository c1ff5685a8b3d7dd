"""A setting is one row, name, default and help, which code, --help and README all read; these are the database's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast


class SettingError(ValueError):
    """A setting has a value that cannot be used; the message names it and says what it takes."""


@dataclass(frozen=True)
class Setting:
    """One environment variable.

    ``parse`` turns its text into a value and raises ValueError, whose message completes "NAME must be …".
    ``default`` is text, parsed like any other; None means that the setting may be absent. ``shown`` is what
    documentation prints as the default where it is computed.
    """

    name: str
    default: str | None
    help: str
    parse: Callable[[str], Any] = str
    shown: str | None = None

    def read(self, environ: Mapping[str, str]) -> Any:
        """Return the parsed value from ``environ``, where an empty text counts as absent.

        Raises SettingError.
        """
        text = environ.get(self.name) or self.default
        if text is None:
            return None
        try:
            return self.parse(text)
        except ValueError as error:
            raise SettingError(f"{self.name} must be {error}") from error

    @property
    def shown_default(self) -> str:
        """The default as documentation prints it."""
        return self.shown or self.default or "none"


def url(text: str) -> str:
    """Return an http or https URL without a slash at its end; the text never appears in an error."""
    if not text.startswith(("http://", "https://")):
        raise ValueError("an http:// or https:// URL")
    return text.rstrip("/")


def prefix(text: str) -> str:
    """Return a text that CouchDB accepts at the beginning of a database's name."""
    plain = text.replace("-", "").replace("_", "")
    if not (plain.isascii() and plain.isalnum() and plain == plain.lower() and text[0].isalpha()):
        raise ValueError("lower-case letters, digits, - and _, a letter first")
    return text


COUCHDB_URL = Setting(
    "COUCHDB_URL",
    None,
    "The database server, as http://user:password@host:port. Without it, make run starts a database.",
    url,
    shown="a database of its own",
)
COUCHDB_ADMIN_URL = Setting(
    "COUCHDB_ADMIN_URL",
    None,
    "The same server with an administrator's credentials; only deploy and other operator commands use it.",
    url,
    shown="`COUCHDB_URL`",
)
DATABASE_PREFIX = Setting(
    "DREAMSCRIPT_DATABASE_PREFIX",
    "dreamscript",
    "Databases are named `<prefix>-documents`, `-projects`, `-keys` and `-meta`.",
    prefix,
)

VAR = Setting(
    "DREAMSCRIPT_VAR",
    str(Path(__file__).parent.parent / "var"),
    "The folder in which make run keeps its database, its secret and the development key.",
    Path,
    shown="`var/` of the project",
)

SETTINGS: tuple[Setting, ...] = (COUCHDB_URL, COUCHDB_ADMIN_URL, DATABASE_PREFIX, VAR)


def local_url(environ: Mapping[str, str]) -> Path:
    """Return the file in which `make run` leaves the URL of the database that it started, for as long as it runs."""
    return cast(Path, VAR.read(environ)) / "couchdb-url"


def admin_url(environ: Mapping[str, str]) -> str:
    """Return the URL that operator commands use: set, or that of the database which `make run` started.

    Raises SettingError when there is neither.
    """
    found = COUCHDB_ADMIN_URL.read(environ) or COUCHDB_URL.read(environ)
    if found is None and local_url(environ).exists():
        found = local_url(environ).read_text().strip()
    if found is None:
        raise SettingError(
            "COUCHDB_URL must be set, or `make run` be running: it starts a database which commands then find"
        )
    return cast(str, found)


def describe(settings: Iterable[Setting]) -> str:
    """Return the rows as lines of text for --help."""
    return "\n".join(f"  {row.name} (default: {row.shown_default})\n      {row.help}" for row in settings)

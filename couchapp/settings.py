"""Declares a setting once, as a field of a dataclass; --help and the documentation read the same declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from couchapp import running

MAX_VALUE_CHARS = 80
NO_DATABASE = "COUCHDB_URL must be set, unless `make run` is running with the same DREAMSCRIPT_VAR, here {var}"


class SettingError(ValueError):
    """Settings have values that cannot be used; each of ``faults`` names a setting and the values that it accepts."""

    def __init__(self, *faults: str) -> None:
        lines = faults if len(faults) == 1 else (f"{len(faults)} settings are wrong:", *faults)
        super().__init__("\n  ".join(lines))
        self.faults = faults


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
    secret: bool = False

    def read(self, environ: Mapping[str, str]) -> Any:
        """Return the value in ``environ``, where an empty text counts as absent. Raises SettingError.

        White space around it is ignored: a value that was read from a file often ends with a line end.
        """
        text = environ.get(self.name, "").strip() or self.default
        try:
            return self.parse(text)
        except ValueError as error:
            value = "" if self.secret else f", not {text[:MAX_VALUE_CHARS]!r}"
            raise SettingError(f"{self.name} must be {error}{value}") from error

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
    row = Setting(name, default, help, parse, shown, secret)
    return field(default=row.read({}), repr=not secret, metadata={"setting": row})


def row_of(declared: Field[Any]) -> Setting:
    """Return the Setting that a field was declared with."""
    row: Setting = declared.metadata["setting"]
    return row


def http_url(text: str) -> str:
    """Return the URL of a server without a trailing slash, empty for an empty text; no error contains the text."""
    if not text:
        return ""
    if not text.startswith(("http://", "https://")):
        raise ValueError("an http:// or https:// URL, such as http://user:password@127.0.0.1:5984")
    try:
        parts = urlsplit(text)
        is_server = parts.hostname and parts.port != 0 and text.count("@") == parts.netloc.count("@")
    except ValueError:
        is_server = False
    if not is_server or parts.query or parts.fragment:
        raise ValueError("the URL of a server, http://user:password@host:port with user and password percent-encoded")
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
        "Databases are named `<prefix>-documents`, `-projects`, `-history`, `-keys` and `-meta`.",
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
        """Return the settings in ``environ``. Raises SettingError, which lists every faulty setting."""
        values: dict[str, Any] = {}
        faults: list[str] = []
        for declared in fields(cls):
            try:
                values[declared.name] = row_of(declared).read(environ)
            except SettingError as error:
                faults += error.faults
        if faults:
            raise SettingError(*faults)
        return cls(**values)

    @classmethod
    def help(cls) -> str:
        """Return all settings as lines of text for --help."""
        return "\n".join(f"  {row.name} (default: {row.shown_default})\n      {row.help}" for row in cls.rows())

    @property
    def url_file(self) -> Path:
        """The file that holds the URL of the database that a running `make run` has started."""
        return self.var / "couchdb-url"

    @property
    def local_url(self) -> str:
        """The URL of the database of a running `make run`; empty if none runs, even if a killed one left its file."""
        if running.is_abandoned(self.var) or not self.url_file.exists():
            return ""
        return self.url_file.read_text().strip()

    @property
    def admin_url(self) -> str:
        """The URL for operator commands: the one set, or that of the database of a running `make run`.

        Raises SettingError if there is neither.
        """
        url = self.couchdb_admin_url or self.couchdb_url or self.local_url
        if not url:
            raise SettingError(NO_DATABASE.format(var=self.var))
        return url

    @property
    def admin_url_name(self) -> str:
        """The origin of ``admin_url``, for messages."""
        return "COUCHDB_ADMIN_URL" if self.couchdb_admin_url else self.couchdb_url_name

    @property
    def couchdb_url_name(self) -> str:
        """The origin of the other URL, for messages."""
        is_local = self.couchdb_url in ("", self.local_url)
        return "the database of `make run`" if is_local else "COUCHDB_URL"

"""The block that `make run` prints when the service listens: where it is, and the first steps with it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from app.domain.access import SCOPES
from app.version import VERSION

# Addresses that are good for listening, and the ones to reach them at.
REACHABLE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared with, not bound
NEW_KEY = f".venv/bin/python -m app keys create NAME --scope {' '.join(SCOPES)}"


@dataclass(frozen=True)
class DevelopmentKey:
    """The key of a developer: in ``file``, and in ``text`` if it was created now; without both there is none."""

    file: Path | None
    text: str | None = None


@dataclass(frozen=True)
class Storage:
    """The database as a person sees it: its name, its URL with credentials if it is ours, and the folder of data.

    Without ``has_fauxton``, the URL of its HTTP interface takes the place of that of its console.
    """

    name: str
    url: str
    folder: Path | None
    has_fauxton: bool = True


def base_url(host: str, port: int) -> str:
    """Return the URL for a browser on this machine."""
    name = REACHABLE.get(host) or (f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


def banner(url: str, key: DevelopmentKey, storage: Storage) -> str:
    """Return the block. Each thing to paste has a line of its own."""
    rows = [
        ("API", url),
        ("Reference", f"{url}/reference"),
        *_storage_rows(storage),
        ("Stop", "Ctrl-C; the data stays"),
    ]
    lines = [f"  {name:11}{text}" for name, text in rows]
    return "\n".join(["", f"Dreamscript Database {VERSION} is ready", "", *lines, "", *_key_lines(url, key), ""])


def _key_lines(url: str, key: DevelopmentKey) -> list[str]:
    if key.file is None:
        reason = "No stored development key is valid for this database and secret."
        return [
            f"  {reason}",
            "  Create one in a second terminal, with the same settings as in this one:",
            f"  {NEW_KEY}",
        ]
    lines = [f"  Development key, stored in {key.file}:", f"  {key.text}", ""] if key.text else []
    sent = key.text or f"$(cat {shlex.quote(str(key.file))})"
    return [*lines, "  First request:", f'  curl -H "X-API-Key: {sent}" {url}/documents']


def _storage_rows(storage: Storage) -> list[tuple[str, str]]:
    parts = urlsplit(storage.url)
    name, path = ("Fauxton", "/_utils/") if storage.has_fauxton else ("CouchDB", "/")
    url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{path}"
    if storage.folder is None:
        return [("Database", storage.name), (name, f"{url} (user and password as in COUCHDB_URL)")]
    login = f"user {unquote(parts.username or '')}, password {unquote(parts.password or '')}"
    return [("Database", storage.name), ("Data", str(storage.folder)), (name, url), ("", login)]

"""The one way to speak to CouchDB: JSON in, JSON out, and every failure in one of three kinds."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import couchdb.http

from app.couch.deadline import Deadline, TimeBudget
from app.couch.failures import AnswerLost, Cancelled, DatabaseError, Refused, Unreachable
from app.couch.transport import Session

__all__ = ["AnswerLost", "Cancelled", "Connection", "CouchResponse", "DatabaseError", "Refused", "Unreachable"]

# These are JSON even where they are plain texts, since CouchDB parses them (its API reference, "/db/_design/_view").
JSON_PARAMETERS = frozenset({"startkey", "start_key", "endkey", "end_key", "key", "keys"})
# So many characters of what CouchDB says of an error are kept.
MAX_TEXT = 500


@dataclass(frozen=True)
class CouchResponse:
    """What CouchDB answered below status 300: its header names are in lower case, its body is decoded JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Connection:
    """A CouchDB server. Threads may share it, and a child of a fork gets connections of its own.

    ``url`` may hold credentials, percent-encoded; they are kept apart from it and appear nowhere. ``timeout`` is the
    time in seconds that one request may take, from looking for a connection to the last byte of the answer. Proxies
    named by the environment are not used. Raises ValueError for what is no server's URL.
    """

    def __init__(self, url: str, *, timeout: float = 3.0) -> None:
        self.url, self._credentials = split_credentials(url)
        self._timeout = timeout
        # In one piece, so that no thread ever sees half of what belongs to the other side of a fork.
        self._owned = os.getpid(), Session()

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"

    def request(
        self,
        method: str,
        *path: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | TimeBudget | None = None,
        read: bool | None = None,
    ) -> CouchResponse:
        """Send one request. The segments of ``path`` are encoded; ``params`` are JSON unless they are plain texts.

        ``timeout`` is for this request, instead of the usual one. ``read`` marks a request that changes nothing and may
        be sent again when its answer is cut: GET and HEAD unless said otherwise. Raises Unreachable, AnswerLost,
        Refused, and Cancelled if its ``timeout`` does.
        """
        timeout = self._timeout if timeout is None else timeout
        status, found, content = self._session().request(
            method,
            couchdb.http.urljoin(self.url, *path, **_encoded(params or {})),
            None if body is None else _json(body),
            {**({} if body is None else {"Content-Type": "application/json"}), **(headers or {})},
            self._credentials,
            deadline=Deadline.after(timeout) if isinstance(timeout, float | int) else timeout,
            read=method in ("GET", "HEAD") if read is None else read,
        )
        if status >= 300:
            raise _refusal(status, content)
        bodiless = method == "HEAD" or status == 204
        decoded = None if bodiless else _decoded(method, path, content)
        return CouchResponse(status, {name.lower(): value for name, value in found.items()}, decoded)

    def get(self, *path: str, **options: Any) -> CouchResponse:
        """Send a GET; see request."""
        return self.request("GET", *path, **options)

    def put(self, *path: str, **options: Any) -> CouchResponse:
        """Send a PUT; see request."""
        return self.request("PUT", *path, **options)

    def post(self, *path: str, **options: Any) -> CouchResponse:
        """Send a POST; see request."""
        return self.request("POST", *path, **options)

    def delete(self, *path: str, **options: Any) -> CouchResponse:
        """Send a DELETE; see request."""
        return self.request("DELETE", *path, **options)

    def head(self, *path: str, **options: Any) -> CouchResponse:
        """Send a HEAD, whose answer has no body; see request."""
        return self.request("HEAD", *path, **options)

    def close(self) -> None:
        """Close the idle connections; the next request opens new ones."""
        self._session().connection_pool.close()

    def _session(self) -> Session:
        owner, session = self._owned
        if owner != os.getpid():
            # The parent goes on using its sockets; two processes reading one would take each other's answers.
            session = Session()
            self._owned = os.getpid(), session
        return session


def split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return ``url`` without credentials and without a slash at its end, and the decoded credentials, if any.

    Raises ValueError, which does not contain ``url``.
    """
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = None
    # A bare "/", "?" or "#" in a password ends the host's part early, and the rest would be shown as a path.
    if not sound or url.count("@") != parts.netloc.count("@"):
        raise ValueError("not the URL of a server, http://user:password@host:port with both of them percent-encoded")
    userinfo, _, host = parts.netloc.rpartition("@")
    bare = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    if not userinfo:
        return bare, None
    user, _, password = userinfo.partition(":")
    return bare, (unquote(user), unquote(password))


def _json(body: object) -> bytes:
    """Return ``body`` as JSON in few bytes: only half a surrogate pair, which UTF-8 has no bytes for, is escaped."""
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def _encoded(params: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) and name not in JSON_PARAMETERS else json.dumps(value)
        for name, value in params.items()
    }


def _decoded(method: str, path: tuple[str, ...], content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise AnswerLost(f"{method} /{'/'.join(path)} was answered with something that is not JSON") from error


def _refusal(status: int, content: bytes) -> Refused:
    """Return the error that an answer tells of, whatever it is written in."""
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        said = {"reason": "the answer was not CouchDB's JSON"}
    return Refused(status, _line(said.get("error"), f"status_{status}"), _line(said.get("reason"), "none was given"))


def _line(said: object, otherwise: str) -> str:
    """Return a text as one line of bounded length, fit for a log."""
    return " ".join(said[:MAX_TEXT].split()) if isinstance(said, str) else otherwise

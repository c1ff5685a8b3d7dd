"""Sends requests to CouchDB through python-couchdb: JSON in, JSON out, and every failure a DatabaseError."""

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
from app.couch.transport import Pool, Session

__all__ = ["AnswerLost", "Cancelled", "Connection", "CouchResponse", "DatabaseError", "Refused", "Unreachable"]

# CouchDB parses these as JSON, so a string is quoted too (its API reference, "/db/_design/_view").
JSON_PARAMETERS = frozenset({"startkey", "start_key", "endkey", "end_key", "key", "keys"})
MAX_REASON_CHARS = 500


@dataclass(frozen=True)
class CouchResponse:
    """A response with a status below 300 and its body, decoded from JSON."""

    status: int
    body: Any


class Connection:
    """A CouchDB server. Threads may share it; the child of a fork opens its own sockets.

    ``url`` may contain percent-encoded credentials, which are kept out of every message. ``timeout`` limits one
    request in seconds, from looking for a connection to the last byte of the answer. Proxies named by the environment
    are not used. Raises ValueError if ``url`` is not the URL of a server.
    """

    def __init__(self, url: str, *, timeout: float = 3.0) -> None:
        self.url, self._credentials = split_credentials(url)
        self._timeout = timeout
        # One tuple, so that a thread never combines the process id and the pool of different processes.
        self._owned = os.getpid(), Pool()

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
        """Send a GET, PUT, POST or DELETE to the ``path`` with these segments, and return the response.

        Parameters are sent as JSON, except strings that CouchDB does not parse. ``timeout`` replaces the connection's
        own. ``read`` says that the request changes nothing and may be sent again if its answer is lost; by default
        this is true of GET. Raises Unreachable, AnswerLost, Refused, and Cancelled if ``timeout`` raises it.
        """
        options = _encoded(params or {})
        if body is not None:
            options["body"] = _json(body)
            headers = {"Content-Type": "application/json", **(headers or {})}
        timeout = self._timeout if timeout is None else timeout
        deadline = Deadline.after(timeout) if isinstance(timeout, float | int) else timeout
        session = Session(self._pool(), deadline, resend=method == "GET" if read is None else read)
        resource = couchdb.http.Resource(self.url, session)
        resource.credentials = self._credentials
        status, _, data = getattr(resource, method.lower())(list(path), headers=headers, **options)
        content = data.read()
        if status >= 300:
            raise _refusal(status, content)
        return CouchResponse(status, _decoded(method, path, content))

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

    def close(self) -> None:
        """Close the idle sockets, and those of requests in flight when they end. Waits without a deadline end now.

        A later request opens a socket for itself alone.
        """
        self._pool().close()

    def _pool(self) -> Pool:
        owner, pool = self._owned
        if owner != os.getpid():
            # The parent still uses its sockets; two processes that read one socket would swap answers.
            pool = Pool()
            self._owned = os.getpid(), pool
        return pool


def split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return ``url`` without credentials and without a trailing slash, and the decoded credentials, if any.

    Raises ValueError, whose message does not contain ``url``.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = None
    # An unencoded "/", "?" or "#" in a password ends the authority early, and the rest would be shown as a path.
    if not valid or url.count("@") != parts.netloc.count("@"):
        raise ValueError("not the URL of a server, http://user:password@host:port with both of them percent-encoded")
    userinfo, _, host = parts.netloc.rpartition("@")
    bare = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    if not userinfo:
        return bare, None
    user, _, password = userinfo.partition(":")
    return bare, (unquote(user), unquote(password))


def _json(body: object) -> bytes:
    """Return ``body`` as JSON in UTF-8; only lone surrogates, which UTF-8 cannot encode, are escaped."""
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def _encoded(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, str) and name not in JSON_PARAMETERS else json.dumps(value)
        for name, value in params.items()
    }


def _decoded(method: str, path: tuple[str, ...], content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise AnswerLost(f"the answer to {method} /{'/'.join(path)} is not JSON") from error


def _refusal(status: int, content: bytes) -> Refused:
    """Return the error for a response, even if its body is not CouchDB's JSON."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        body = {"reason": "the answer was not CouchDB's JSON"}
    return Refused(status, _line(body.get("error"), f"status_{status}"), _line(body.get("reason"), "no reason given"))


def _line(text: object, default: str) -> str:
    """Return ``text`` as one line that a log can hold, or ``default`` if it is not a string."""
    return " ".join(text[:MAX_REASON_CHARS].split()) if isinstance(text, str) else default

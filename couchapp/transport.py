"""python-couchdb's session with its faults mended: a deadline for the whole exchange, and no write sent twice.

FACTS 3 lists what the session does when left alone. This one never re-sends a write, reads every answer whole before
anyone looks at it, puts a connection into the pool once at most, and notices connections that the server has closed.
"""

from __future__ import annotations

import io
import select
import socket
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import couchdb.http

from couchapp.failures import Interrupted, Unreachable

# As many connections are kept for later as a worker has threads.
MAX_IDLE = 32


@dataclass(frozen=True)
class Terms:
    """What the caller of the next request allows: until when (monotonic seconds), and whether it is only a read."""

    deadline: float
    read: bool

    def remaining(self) -> float:
        """Return the seconds that are left. Raises TimeoutError when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no whole answer came in time")
        return left


# The session's interface has no room for it, so it goes beside.
TERMS: ContextVar[Terms] = ContextVar("terms")


class _TimedReader(io.RawIOBase):
    """Reads a socket so that every read gets only the time that is left; else a trickle would go on for ever."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, terms: Terms) -> None:
        self._raw, self._socket, self._terms = raw, sock, terms

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(self._terms.remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """An answer that is read by a deadline."""

    def __init__(self, terms: Terms, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        buffered: Any = self.fp
        self.fp = io.BufferedReader(_TimedReader(buffered.detach(), sock, terms))


class Pool(couchdb.http.ConnectionPool):  # type: ignore[misc]
    """Idle connections. One that has something to say before it is asked has been closed, or is out of step."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    def get(self, url: str) -> HTTPConnection:
        """Return a usable connection, new or idle. Raises OSError when none can be made."""
        scheme, host = urlsplit(url)[:2]
        while True:
            with self.lock:
                idle = self.conns.setdefault((scheme, host), [])
                connection: HTTPConnection | None = idle.pop() if idle else None
            if connection is None:
                return _connect(scheme, host)
            if not _has_news(connection):
                return connection
            connection.close()

    def release(self, url: str, conn: HTTPConnection) -> None:
        """Keep a connection whose last answer was read to its end."""
        with self.lock:
            idle = self.conns.setdefault(tuple(urlsplit(url)[:2]), [])
            if len(idle) < MAX_IDLE:
                idle.append(conn)
                return
        conn.close()

    def close(self) -> None:
        """Close every idle connection."""
        with self.lock:
            idle = [connection for connections in self.conns.values() for connection in connections]
            self.conns.clear()
        for connection in idle:
            connection.close()


def _connect(scheme: str, host: str) -> HTTPConnection:
    make = HTTPSConnection if scheme == "https" else HTTPConnection
    connection = make(host, timeout=TERMS.get().remaining())
    connection.connect()
    connection.auto_open = False
    return connection


def _has_news(connection: HTTPConnection) -> bool:
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN | select.POLLERR | select.POLLHUP)
    return bool(poll.poll(0))


class Session(couchdb.http.Session):  # type: ignore[misc]
    """Sends requests by the terms in TERMS."""

    def __init__(self) -> None:
        super().__init__(retryable_errors=())
        self.connection_pool = Pool()

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        credentials: tuple[str, str] | None = None,
        num_redirects: int = 0,  # noqa: ARG002
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and whole body of the answer, whatever its status.

        A read whose answer was cut is asked for once more; what took too long is not. Raises Unreachable when nothing
        was sent, Interrupted when something was and no whole answer came.
        """
        sent = {"User-Agent": "dreamscript-database", "Accept": "application/json", **(headers or {})}
        authorization = couchdb.http.basic_auth(credentials)
        if authorization:
            sent["Authorization"] = authorization.decode()
        try:
            return self._exchange(method, url, body, sent)
        except Interrupted as failure:
            if not TERMS.get().read or isinstance(failure.__cause__, TimeoutError):
                raise
        return self._exchange(method, url, body, sent)

    def _exchange(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        parts, terms = urlsplit(url), TERMS.get()
        try:
            connection = self.connection_pool.get(url)
        except OSError as error:
            raise Unreachable(f"no connection to {parts.hostname}: {_plain(error)}") from error
        try:
            connection.sock.settimeout(terms.remaining())
            connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, dict(headers))
            connection.response_class = partial(_Response, terms)  # type: ignore[assignment]
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            connection.close()
            raise Interrupted(f"{method} {parts.path} was not answered: {_plain(error)}") from error
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self.connection_pool.release(url, connection)
        return response.status, dict(response.headers.items()), content


def _plain(error: Exception) -> str:
    """Name a failure without the texts that a server may have put into it."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else type(error).__name__

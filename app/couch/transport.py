"""python-couchdb's session with its faults mended: a deadline for the whole exchange, and no write sent twice.

docs/couchdb-quirks.md lists what the session does when left to itself. This one never re-sends a write, reads every
answer whole before anyone looks at it, puts a connection into the pool once at most, and notices one that was closed.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cached_property
from http.client import BadStatusLine, HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import cast
from urllib.parse import urlsplit

import couchdb.http

from app.couch.deadline import TimeBudget, TimedSocket, connect
from app.couch.failures import AnswerLost, Unreachable

# As many connections are kept for later as a worker has threads.
MAX_IDLE = 32

# Status, headers and body of an answer.
Reply = tuple[int, Mapping[str, str], bytes]


class Pool(couchdb.http.ConnectionPool):  # type: ignore[misc]
    """Idle connections. One that has something to say before it is asked was closed, or is out of step."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    def get(self, url: str, deadline: TimeBudget) -> HTTPConnection:
        """Return a usable connection, idle or new.

        Raises OSError when there is none in time, UnicodeError and HTTPException for a host that cannot be.
        """
        deadline.remaining()
        while connection := self._idle(url):
            sock = cast(TimedSocket, connection.sock)
            if not sock.has_news():
                sock.deadline = deadline
                return connection
            connection.close()
        return self._new(url, deadline)

    def release(self, url: str, conn: HTTPConnection) -> None:
        """Keep a connection whose last answer was read to its end."""
        with self.lock:
            idle = self.conns.setdefault(_server(url), [])
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

    def _idle(self, url: str) -> HTTPConnection | None:
        with self.lock:
            idle: list[HTTPConnection] = self.conns.get(_server(url), [])
            return idle.pop() if idle else None

    def _new(self, url: str, deadline: TimeBudget) -> HTTPConnection:
        scheme, host = _server(url)
        tls = self._tls if scheme == "https" else None
        connection = HTTPSConnection(host, context=tls) if tls else HTTPConnection(host)
        connection.sock = connect(connection.host, connection.port, tls, deadline)
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


class Session(couchdb.http.Session):  # type: ignore[misc]
    """Sends requests and returns whole answers; what python-couchdb's session caches, retries and follows is unused."""

    def __init__(self) -> None:
        super().__init__(retryable_errors=())
        self.connection_pool = Pool()

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        credentials: tuple[str, str] | None,
        *,
        deadline: TimeBudget,
        read: bool,
    ) -> Reply:
        """Return status, headers and whole body of the answer, whatever its status.

        A ``read`` whose answer was cut is asked for once more; what took too long is not. Raises Unreachable when
        nothing was sent, AnswerLost when something was and no whole answer came.
        """
        sent = {"User-Agent": "dreamscript-database", "Accept": "application/json", **headers}
        authorization = couchdb.http.basic_auth(credentials)
        if authorization:
            sent["Authorization"] = authorization.decode()
        try:
            return self._exchange(method, url, body, sent, deadline)
        except AnswerLost as failure:
            if not read or isinstance(failure.__cause__, TimeoutError):
                raise
        return self._exchange(method, url, body, sent, deadline)

    def _exchange(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], deadline: TimeBudget
    ) -> Reply:
        try:
            connection = self.connection_pool.get(url, deadline)
        except (OSError, UnicodeError, HTTPException) as error:
            raise Unreachable(f"no connection to {urlsplit(url).hostname}: {_plain(error)}") from error
        path, query = urlsplit(url)[2:4]
        try:
            response, content = _ask(connection, method, f"{path}?{query}" if query else path, body, headers)
        except (OSError, HTTPException) as error:
            connection.close()
            raise AnswerLost(f"{method} {path} was not answered: {_plain(error)}") from error
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self.connection_pool.release(url, connection)
        return response.status, dict(response.headers.items()), content


def _ask(
    connection: HTTPConnection, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
) -> tuple[HTTPResponse, bytes]:
    connection.request(method, target, body, dict(headers))
    cast(TimedSocket, connection.sock).flush()
    response = connection.getresponse()
    if response.status < 200:
        # The answer itself is still to come, and the next request would be given it.
        raise BadStatusLine(str(response.status))
    return response, response.read()


def _server(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _plain(error: Exception) -> str:
    """Name a failure without the texts that a server may have put into it."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__

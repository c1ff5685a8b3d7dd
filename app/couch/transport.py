"""python-couchdb's session with our transport: one deadline for the whole request, and no write sent twice.

docs/couchdb-quirks.md lists the faults of the library's own session. This one never resends a write, reads every answer
completely before it returns, puts a connection into the pool at most once, and notices one that the server has closed.
"""

from __future__ import annotations

import io
import ssl
from collections.abc import Mapping
from functools import cached_property
from urllib.parse import urlsplit

import couchdb.http

from app.couch.client import DEFAULT_PORTS, NotHTTP, ServerConnection
from app.couch.deadline import IdleTimeout, TimeBudget
from app.couch.failures import AnswerLost, Unreachable

# More than the threads of a worker (app/server/wsgi_bridge.py), since a thread may write several parts at a time.
MAX_IDLE = 32
HEADERS = {"User-Agent": "dreamscript-database", "Accept": "application/json"}

# Status, headers (none, since nobody needs them) and body, as couchdb.http.Resource expects them of a session.
Reply = tuple[int, Mapping[str, str], io.BytesIO]


class Pool(couchdb.http.ConnectionPool):  # type: ignore[misc]
    """Idle connections, and those in use. An idle one with unread input is closed: it is out of step, or at its end.

    After ``close`` the pool keeps no connection: each is closed when it is released.
    """

    def __init__(self) -> None:
        super().__init__(timeout=None)
        self._in_use: set[ServerConnection] = set()
        self._is_closed = False

    def get(self, url: str, deadline: TimeBudget) -> ServerConnection:
        """Return an idle connection to the server of ``url``, or a new one.

        Raises OSError if there is none in time, UnicodeError if the host name is not valid.
        """
        deadline.remaining()
        while connection := self._idle(url):
            if not connection.sock.has_input():
                connection.sock.deadline = deadline
                break
            connection.close()
        else:
            connection = self._new(url, deadline)
        with self.lock:
            self._in_use.add(connection)
        return connection

    def release(self, url: str, conn: ServerConnection) -> None:
        """Keep a connection whose last answer was read to its end."""
        with self.lock:
            idle = self.conns.setdefault(_server(url), [])
            if len(idle) < MAX_IDLE and not self._is_closed:
                self._in_use.discard(conn)
                idle.append(conn)
                return
        self.discard(conn)

    def discard(self, conn: ServerConnection) -> None:
        """Close a connection that cannot be used again."""
        with self.lock:
            self._in_use.discard(conn)
        conn.close()

    def close(self) -> None:
        """Close the idle connections, and end the waits that have no deadline; other requests end by themselves."""
        with self.lock:
            self._is_closed = True
            idle = [connection for connections in self.conns.values() for connection in connections]
            self.conns.clear()
            for connection in self._in_use:
                if isinstance(connection.sock.deadline, IdleTimeout):
                    connection.sock.interrupt()
        for connection in idle:
            connection.close()

    def _idle(self, url: str) -> ServerConnection | None:
        with self.lock:
            idle: list[ServerConnection] = self.conns.get(_server(url), [])
            return idle.pop() if idle else None

    def _new(self, url: str, deadline: TimeBudget) -> ServerConnection:
        return ServerConnection.open(url, self._tls if urlsplit(url).scheme == "https" else None, deadline)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


class Session(couchdb.http.Session):  # type: ignore[misc]
    """Sends one request within ``deadline``; a request that may be sent again is sent at most twice.

    It does not cache, follow redirects or raise for a status, all of which the library's session does.
    """

    def __init__(self, pool: Pool, deadline: TimeBudget, *, resend: bool) -> None:
        # The library's constructor sets up a cache, retries and a second pool: none is used here.
        self.connection_pool, self._deadline, self._resend = pool, deadline, resend

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        credentials: tuple[str, str] | None = None,
        num_redirects: int = 0,  # noqa: ARG002
    ) -> Reply:
        """Return status, headers and body, already read, of the answer.

        After its deadline a request is not sent again. Raises Unreachable if nothing was sent, and AnswerLost if
        the request was sent and no complete answer arrived.
        """
        headers = {**HEADERS, **(headers or {})}
        authorization = couchdb.http.basic_auth(credentials)
        if authorization:
            headers["Authorization"] = authorization.decode()
        try:
            return self._exchange(method, url, body, headers)
        except AnswerLost as failure:
            if not self._resend or isinstance(failure.__cause__, TimeoutError):
                raise
        return self._exchange(method, url, body, headers)

    def _exchange(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        try:
            connection = self.connection_pool.get(url, self._deadline)
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"no connection to {_address(url)}: {_plain(error)}") from error
        path, query = urlsplit(url)[2:4]
        try:
            answer = connection.exchange(method, f"{path}?{query}" if query else path, body, headers)
        except (OSError, NotHTTP) as error:
            self.connection_pool.discard(connection)
            raise AnswerLost(f"no complete answer to {method} {path}: {_plain(error)}") from error
        except BaseException:
            self.connection_pool.discard(connection)
            raise
        if answer.keeps_connection:
            self.connection_pool.release(url, connection)
        else:
            self.connection_pool.discard(connection)
        return answer.status, {}, io.BytesIO(answer.body)


def _server(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _address(url: str) -> str:
    """Return host and port of ``url``, also if the port is that of its scheme."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or DEFAULT_PORTS[parts.scheme]}"


def _plain(error: Exception) -> str:
    """Name a failure without any text that a server may have put into it."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__

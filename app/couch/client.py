"""One connection to a server, and HTTP/1.1 on it (RFC 9112); httptools parses the answers.

docs/decisions/database-client.md has the reasons for a client of our own.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Mapping
from http.client import HTTP_PORT, HTTPS_PORT
from typing import NamedTuple
from urllib.parse import urlsplit

import httptools

from app.couch.deadline import TimeBudget, TimedSocket, connect

# CouchDB sends some hundred bytes of headers.
MAX_HEAD_BYTES = 2**16
DEFAULT_PORTS = {"http": HTTP_PORT, "https": HTTPS_PORT}
METHODS_WITH_BODY = frozenset({"POST", "PUT"})


class NotHTTP(Exception):
    """The server sent anything but one final answer."""


class Answer(NamedTuple):
    """A complete answer; ``keeps_connection``: the server will answer further requests on the connection."""

    status: int
    body: bytes
    keeps_connection: bool


class ServerConnection:
    """A connected socket to the server ``host``, which is sent as Host."""

    def __init__(self, host: str, sock: TimedSocket) -> None:
        self.sock, self._host = sock, host

    @classmethod
    def open(cls, url: str, tls: ssl.SSLContext | None, deadline: TimeBudget) -> ServerConnection:
        """Connect to the server of ``url``. Raises OSError, and UnicodeError for an invalid host name."""
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        return cls(parts.netloc, connect(parts.hostname or "", port, tls, deadline))

    def exchange(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Send a request and return its answer. Raises OSError and NotHTTP."""
        self.sock.send(self._request(method, target, body, headers))
        answer = _AnswerBuilder()
        answer.parser, head_bytes = httptools.HttpResponseParser(answer), 0
        try:
            while not answer.is_complete:
                data = self.sock.receive()
                if not data:
                    raise ConnectionAbortedError(errno.ECONNABORTED, "it ended early")
                answer.parser.feed_data(data)
                head_bytes += 0 if answer.status else len(data)
                if head_bytes > MAX_HEAD_BYTES:
                    raise NotHTTP
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise NotHTTP from error
        finally:
            # The parser refers to the answer.
            answer.parser = None
        if answer.status < 200 or answer.is_followed:
            # The final answer is still to come, and the next request on this connection would receive it.
            raise NotHTTP
        return Answer(answer.status, b"".join(answer.parts), answer.keeps_connection)

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def _request(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        """Return a request in one piece, which wakes the other side only once."""
        lines = [f"{method} {target or '/'} HTTP/1.1", f"Host: {self._host}", *map(": ".join, headers.items())]
        if body is not None or method in METHODS_WITH_BODY:
            lines.append(f"Content-Length: {len(body or b'')}")
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1:
            raise ValueError("a header has a line break")
        return head.encode("latin-1") + b"\r\n\r\n" + (body or b"")


class _AnswerBuilder:
    """Collects the parts of an answer from its parser. ``is_followed``: another message comes after it."""

    def __init__(self) -> None:
        self.parser: httptools.HttpResponseParser | None = None
        self.status = 0
        self.parts: list[bytes] = []
        self.keeps_connection = self.is_complete = self.is_followed = False
        self.header_bytes = 0

    def on_message_begin(self) -> None:
        self.is_followed = self.is_complete

    def on_header(self, name: bytes, value: bytes) -> None:
        self.header_bytes += len(name) + len(value)

    def on_headers_complete(self) -> None:
        assert self.parser
        if self.header_bytes > MAX_HEAD_BYTES:
            raise NotHTTP
        if not self.is_complete:
            self.status, self.keeps_connection = self.parser.get_status_code(), self.parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)

    def on_message_complete(self) -> None:
        self.is_complete = True

"""A client that sends bytes as they are and parses the responses."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.server.live import Live
from tests.waiting import MAX_WAIT_SECONDS


class RawResponse(NamedTuple):
    """A response; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        """Whether the response announces the end of the connection."""
        return self.headers.get("connection") == "close"


class RawClient(socket.socket):
    """A connection to a running service, or to the ``address`` of a proxy before it."""

    def __init__(self, live: Live, address: str = "") -> None:
        host, port = (address or live.address).split(":")
        super().__init__()
        self.settimeout(MAX_WAIT_SECONDS)
        self.connect((host, int(port)))
        self._received = b""

    def response(self, method: str = "GET") -> RawResponse:
        """Return the next response, to a request with ``method``. Raises EOFError if the server closes before it."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, self._received = self._received.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = 0 if method == "HEAD" or status in (100, 204, 304) else int(headers["content-length"])
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return RawResponse(status, headers, body)

    def rest(self) -> bytes:
        """Return all that arrives until the server closes the connection."""
        try:
            while True:
                self._receive()
        except (EOFError, ConnectionResetError):
            return self._received

    def _receive(self) -> None:
        chunk = self.recv(65_536)
        if not chunk:
            raise EOFError
        self._received += chunk


def exchange(live: Live, content: bytes, method: str = "GET") -> RawResponse:
    """Send bytes and no more; return the response, after which the server must close the connection."""
    with RawClient(live) as client:
        client.sendall(content)
        client.shutdown(socket.SHUT_WR)
        response = client.response(method)
        assert client.rest() == b""
    return response


def head(method: str, path: str, *headers: str, version: str = "1.1", host: str | None = "x") -> bytes:
    """Return a request without a body."""
    hosts = () if host is None else (f"Host: {host}",)
    return "\r\n".join((f"{method} {path} HTTP/{version}", *hosts, *headers, "", "")).encode("latin-1")


def post(key: str | None, length: int | None, *headers: str, path: str = "/documents") -> bytes:
    """Return the head of a request with JSON, chunked if its length is None."""
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    credentials = () if key is None else (f"X-API-Key: {key}",)
    return head("POST", path, "Content-Type: application/json", *credentials, framing, *headers)

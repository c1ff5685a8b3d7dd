"""ASGI requests to a bridge, and an application behind it that echoes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from app.server.request_body import MEMORY_BYTES
from app.server.wsgi_bridge import WSGIBridge

LIMIT_BYTES = 4 * MEMORY_BYTES


def scope(method: str = "GET", path: bytes = b"/", query: bytes = b"", **headers: str) -> dict[str, Any]:
    """Return an ASGI scope; ``x_y="z"`` is the header X-Y."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "raw_path": path,
        "query_string": query,
        "headers": [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.2", 81),
        "state": {},
    }


class Client:
    """Sends a body in parts, then waits or leaves, and keeps the messages of the response."""

    def __init__(self, *parts: bytes, leaves: bool = False, ends: bool = True) -> None:
        self.messages: list[Any] = [
            {"type": "http.request", "body": part, "more_body": not ends or at < len(parts)}
            for at, part in enumerate(parts, 1)
        ]
        if leaves:
            self.messages.append({"type": "http.disconnect"})
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        """Return the next part, if there is one."""
        return self.messages.pop(0) if self.messages else await asyncio.Event().wait()

    async def send(self, message: Any) -> None:
        """Keep a message."""
        self.sent.append(message)

    @property
    def status(self) -> int:
        """The status of the response."""
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The headers of the response."""
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        """The body of the response."""
        return b"".join(message["body"] for message in self.sent[1:])


class Echo:
    """A WSGI application that responds with the request's body, and keeps the environment."""

    def __init__(self) -> None:
        self.environ: dict[str, Any] = {}
        self.failure: Exception | None = None
        self.closed = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterator[bytes]:
        self.environ = environ
        start_response("200 OK", [("X-Of", "Echo")])
        try:
            self._content = [environ["wsgi.input"].read()]
        except ValueError as error:
            self.failure, self._content = error, []
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._content:
            raise StopIteration
        content: bytes = self._content.pop()
        return content

    def close(self) -> None:
        """Count."""
        self.closed += 1


Build = Callable[..., WSGIBridge]


def respond(bridge: WSGIBridge, request: dict[str, Any], client: Client | None = None) -> Client:
    """Return the client when it has its response."""
    client = client or Client()
    asyncio.run(bridge(request, client.receive, client.send))
    return client

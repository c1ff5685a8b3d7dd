"""The timers of one connection, and responses in one piece."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from app.http.responses import Response
from app.server.protocol import Protocol

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

pytestmark = pytest.mark.nodatabase

KEEP_ALIVE_SECONDS = 0.1
HEADERS = [("content-length", "2")]


class CachingProtocol(Protocol):
    """Has a response to ``/hot`` in its cache."""

    @staticmethod
    def lookup(environ: WSGIEnvironment) -> Response | None:
        """Return the response to ``/hot``."""
        return Response(200, HEADERS, b"ok") if environ["PATH_INFO"] == "/hot" else None


async def slow(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer when an idle connection would have been closed."""
    await asyncio.sleep(3 * KEEP_ALIVE_SECONDS)
    headers = [(name.encode(), value.encode()) for name, value in HEADERS]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


async def whole(scope: Any, _receive: Any, _send: Any) -> None:
    """Answer in one piece."""
    assert scope["state"].pop("respond")(Response(200, HEADERS, scope["path"][-2:].encode()))


async def exchange(content: bytes, application: Any = slow) -> bytes:
    """Send bytes; return all that arrives until the server closes the connection."""
    config = Config(application, http=CachingProtocol, log_config=None)
    config.timeout_keep_alive = KEEP_ALIVE_SECONDS  # type: ignore[assignment]
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: CachingProtocol(config, state, {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(content)
        received = await reader.read()
        writer.close()
    return received


def test_a_request_right_after_a_cached_one_is_not_cut_by_the_idle_timer() -> None:
    requests = b"".join(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in (b"/hot", b"/slow"))
    assert asyncio.run(exchange(requests)).count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    ("versions", "keep_alive"),
    [((b"1.1", b"1.1"), b""), ((b"1.0", b"1.0"), b"connection: keep-alive\r\n"), ((b"1.1", b"1.0"), b"")],
)
def test_responses_in_one_piece_come_in_order_and_keep_the_connection(
    versions: tuple[bytes, bytes], keep_alive: bytes
) -> None:
    fields = b"Host: x\r\nConnection: %b\r\n\r\n"
    first = b"GET /ab HTTP/%b\r\n" % versions[0] + fields % b"keep-alive"
    last = b"GET /cd HTTP/%b\r\n" % versions[1] + fields % b"close"
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n"
    expected = head + keep_alive + b"\r\nab" + head + b"connection: close\r\n\r\ncd"
    assert asyncio.run(exchange(first + last, whole)) == expected

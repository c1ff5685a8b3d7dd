"""The timers of one connection."""

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


async def exchange(content: bytes) -> bytes:
    """Send bytes; return all that arrives until the server closes the connection."""
    config = Config(slow, http=CachingProtocol, log_config=None)
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

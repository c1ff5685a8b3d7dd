"""Serves a WSGI application from a pool of threads, behind an event loop in which clients are waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

from app.cache.response_cache import CachedResponse
from app.request_context import STARTED
from app.server.environ import Scope, wsgi_environ

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Each thread spends most of its time waiting for the database.
THREADS = 16
# A larger body is kept in a file.
IN_MEMORY = 2**16
# Seconds for what is left of a body that nobody wanted to read, before the connection is closed instead.
DRAIN = 0.5
# Seconds to answer a request whose body did not come in time: the database may have to be asked who sent it.
GRACE = 1.0
# Seconds by which a timer of the event loop may go off too early.
EARLY = 0.001


# Answers in the event loop what needs no thread, without waiting for anything; None is for all else.
Hook = Callable[["WSGIEnvironment"], CachedResponse | None]


class Gateway:
    """An ASGI application that answers by ``quick`` where that is possible, and else by ``wsgi`` in a thread.

    A request has ``seconds`` from the arrival of its headers. Of a body, ``largest`` bytes are read and little more.
    ``finish`` is called at the end.
    """

    def __init__(
        self,
        wsgi: WSGIApplication,
        *,
        seconds: float,
        largest: int,
        quick: Hook | None = None,
        finish: Callable[[], object] = lambda: None,
    ) -> None:
        self._wsgi, self._seconds, self._largest, self.quick = wsgi, seconds, largest, quick
        self._finish = finish
        self._pool = ThreadPoolExecutor(THREADS)

    def close(self) -> None:
        """Wait until the last thread has done its work, and then finish."""
        self._pool.shutdown()
        self._finish()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3.0)."""
        environ = wsgi_environ(scope)
        environ[STARTED] = time.monotonic()
        answer = self.quick(environ) if self.quick else None
        if answer is not None:
            await respond(send, environ, answer)
            return
        body = Body(environ, receive, self._largest)
        if not await body.read(environ[STARTED] + self._seconds):
            environ[STARTED] = time.monotonic() - self._seconds + min(GRACE, self._seconds)
        await respond(send, environ, await self._run(environ))
        await body.drain()

    async def _run(self, environ: WSGIEnvironment) -> CachedResponse:
        """Let a thread answer, if there is one before the deadline."""
        work = self._pool.submit(answer_of, self._wsgi, environ)
        deadline = environ[STARTED] + self._seconds + EARLY
        timer = asyncio.get_running_loop().call_at(deadline, work.cancel)
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # It has no time left, so it says nothing but that, at once, and holds up nobody in the event loop.
            return answer_of(self._wsgi, environ)
        finally:
            timer.cancel()


def answer_of(wsgi: WSGIApplication, environ: WSGIEnvironment) -> CachedResponse:
    """Return the answer of a WSGI application (PEP 3333) to a request, whose body is then let go of."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], object]:
        started.append((status, headers))
        return written.append

    with closing(environ["wsgi.input"]):
        parts = wsgi(environ, start_response)
        try:
            written.extend(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
    status, headers = started[-1]
    return CachedResponse(int(status[:3]), headers, b"".join(written))


async def respond(send: Send, environ: WSGIEnvironment, answer: CachedResponse) -> None:
    """Send an answer."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


class Body:
    """The body of one request, which becomes its ``wsgi.input``."""

    def __init__(self, environ: WSGIEnvironment, receive: Receive, largest: int) -> None:
        length = int(environ.get("CONTENT_LENGTH", 0))
        self._receive, self._largest = receive, largest
        self._more = length > 0 or "HTTP_TRANSFER_ENCODING" in environ
        # What announces itself as too large is refused without a look at it.
        self._wanted = self._more and length <= largest
        self._stream = environ["wsgi.input"] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - The thread closes it.

    async def read(self, deadline: float) -> bool:
        """Read what is wanted of it; return False if it did not come in time."""
        if not self._wanted:
            return True
        try:
            async with asyncio.timeout_at(deadline):
                while self._more and self._stream.tell() <= self._largest:
                    self._stream.write(await self._next())
        except (TimeoutError, EOFError) as error:
            # Nothing can be read from a closed file, so that no part of a body is taken for the whole.
            self._stream.close()
            return isinstance(error, EOFError)
        self._stream.seek(0)
        return True

    async def _next(self) -> bytes:
        """Return some more bytes. Raises EOFError when the client has left before the end."""
        message = await self._receive()
        self._more = message.get("more_body", False)
        if message["type"] == "http.disconnect":
            raise EOFError
        chunk: bytes = message["body"]
        return chunk

    async def drain(self) -> None:
        """Let the client finish for a moment, since one that is still sending might not see its answer."""
        if not self._more:
            return
        with suppress(TimeoutError, EOFError):
            async with asyncio.timeout(DRAIN):
                while self._more:
                    await self._next()

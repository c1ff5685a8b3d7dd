"""Serve the WSGI application from a pool of threads, behind an event loop that waits for clients."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from app.errors import ServiceError
from app.http.cross_origin import NO_ORIGINS, CrossOrigin
from app.http.responses import Response, error_response
from app.http.waiting import HAS_ROOM, WaitingBody
from app.metrics import Metrics
from app.request_context import STARTED
from app.server.environ import wsgi_environ
from app.server.request_body import Message, Receive, RequestBody, SpoolBudget, declared_length
from app.server.streams import TIMING, Timing
from app.server.thread_pool import ThreadPool
from app.server.waits import Exchange, OpenRaw, Waits

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

T = TypeVar("T")
Scope = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("dreamscript.server")

# Each thread spends most of its time waiting for the database.
THREADS = 16
SPOOL_BYTES = 64 * 2**20
# To answer a request whose body did not come in time: the database may have to be asked for the key.
GRACE_SECONDS = 1.0
# Bytes that may arrive together with the headers.
IN_ONE_READ_BYTES = 2**20
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
# In the WSGI environ of a request that the application has got, and will report.
IS_PASSED_ON = "dreamscript.is_passed_on"


class WSGIBridge:
    """An ASGI application that runs ``wsgi`` in threads.

    A request has ``seconds`` from the arrival of its headers. ``body_limit`` returns, from the headers, how many bytes
    of a body to read; it runs in a thread too. ``count_failure`` receives the status of a response to a request that
    the application did not get. ``close`` is called at the end. Clients that wait are counted in ``metrics``, and
    ``check_feeds`` is called every second meanwhile, in a thread.
    """

    def __init__(
        self,
        wsgi: WSGIApplication,
        *,
        seconds: float,
        body_limit: Callable[[WSGIEnvironment], int],
        close: Callable[[], object] = lambda: None,
        cross_origin: CrossOrigin = NO_ORIGINS,
        count_failure: Callable[[int], object] = lambda _: None,
        spool_bytes: int = SPOOL_BYTES,
        metrics: Metrics | None = None,
        timing: Timing = TIMING,
        check_feeds: Callable[[], object] = lambda: None,
    ) -> None:
        self._cross_origin, self._count_failure = cross_origin, count_failure
        self._wsgi, self._seconds, self._body_limit, self._close = wsgi, seconds, body_limit, close
        self._budget = SpoolBudget(spool_bytes)
        self._pool = ThreadPool(THREADS)
        self.waits = Waits(self._pool, seconds, metrics, timing, check_feeds)
        # Requests whose responses are not sent yet.
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the life of the process (ASGI 3.0)."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        # Left in the scope, these would make a reference cycle of each request.
        open_raw = scope["state"].pop("stream", no_raw_stream)
        respond_at_once = scope["state"].pop("respond", never)
        environ = wsgi_environ(scope)
        environ[STARTED] = time.monotonic()
        body = RequestBody(receive, declared_length(environ), self._budget)
        self.in_flight += 1
        try:
            response = await self._response(environ, body, "is_complete" in scope["state"])
            if response.waiting is not None:
                waited = await self._wait(scope, receive, send, open_raw, response)
                if waited is None:
                    return
                response = waited
            if body.is_unread or not respond_at_once(response):
                await respond(send, environ, response, body)
        finally:
            self.in_flight -= 1

    async def _wait(
        self, scope: Scope, receive: Receive, send: Send, open_raw: OpenRaw, response: Response
    ) -> Response | None:
        """Let the client wait; return its response, None if it was sent or if the client has left."""

        async def run_again(entries: dict[str, Any]) -> Response:
            environ = {**wsgi_environ(scope), STARTED: time.monotonic(), HAS_ROOM: True, **entries}
            return await self._response(environ, RequestBody(receive, 0, self._budget), is_complete=True)

        exchange = Exchange(receive, send, open_raw, run_again, scope["http_version"] == "1.0")
        self.in_flight -= 1
        try:
            return await self.waits.answer(response, exchange)
        finally:
            self.in_flight += 1

    async def _response(self, environ: WSGIEnvironment, body: RequestBody, is_complete: bool) -> Response:
        """Return the application's response as it is sent, or a 500 if there is none."""
        try:
            response = await self._answer(environ, body, is_complete)
        except Exception:
            request_id = secrets.token_hex(16)
            log.exception("not answered", extra={"request_id": request_id})
            if IS_PASSED_ON not in environ:
                self._count_failure(500)
            response = error_response(ServiceError(), request_id, self._cross_origin, environ.get("HTTP_ORIGIN"))
        return response._replace(body=b"") if environ["REQUEST_METHOD"] == "HEAD" else response

    async def _live(self, receive: Receive, send: Send) -> None:
        """Wait for the end of the process; then let the threads finish, and close."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    def close(self) -> None:
        """Let the threads finish, and close their services."""
        self._pool.close()
        self._close()

    async def _answer(self, environ: WSGIEnvironment, body: RequestBody, is_complete: bool) -> Response:
        """Return the application's response. Without a free thread by the deadline, that is a 503."""
        with body.open() as environ["wsgi.input"]:
            try:
                if body.is_unread:
                    await self._read(environ, body, is_complete)
                if not (body.is_unread or self.waits.room.is_closed):
                    environ.setdefault(HAS_ROOM, self.waits.room.has_room)
                return await self._in_thread(partial(run, self._wsgi), environ)
            except TimeoutError:
                # With no time left, the application does not get as far as the database.
                environ[STARTED] = time.monotonic() - self._seconds
                return run(self._wsgi, environ)

    async def _read(self, environ: WSGIEnvironment, body: RequestBody, is_complete: bool) -> None:
        """Read the body if it can matter. Raises TimeoutError if not the client but this service takes too long.

        An incomplete body leaves its file closed, so that no part of it is taken for the whole.
        """
        limit = IN_ONE_READ_BYTES if is_complete else await self._in_thread(self._body_limit, environ)
        waited_seconds = time.monotonic() - environ[STARTED]
        try:
            await body.read(limit, environ[STARTED] + self._seconds)
        except EOFError:
            body.file.close()
        except TimeoutError:
            body.file.close()
            if body.is_waiting_for_budget or waited_seconds > self._seconds / 2:
                raise
            environ[STARTED] = time.monotonic() - self._seconds + min(GRACE_SECONDS, self._seconds)

    async def _in_thread(self, function: Callable[[WSGIEnvironment], T], environ: WSGIEnvironment) -> T:
        """Run ``function`` in a thread. Raises TimeoutError if no thread is free by the deadline."""
        seconds_left = environ[STARTED] + self._seconds - time.monotonic()
        return await self._pool.run(function, environ, seconds_left)


def run(wsgi: WSGIApplication, environ: WSGIEnvironment) -> Response:
    """Return the response of a WSGI application (PEP 3333), and close the request's body."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], object]:
        started.append((status, headers))
        return written.append

    environ[IS_PASSED_ON] = True
    waiting: WaitingBody | None = None
    with closing(environ["wsgi.input"]):
        parts: Iterable[bytes] = wsgi(environ, start_response)
        if isinstance(parts, WaitingBody) and HAS_ROOM in environ:
            waiting, parts = parts, ()
        try:
            written.extend(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
    (line, headers), content = started[-1], b"".join(written)
    if waiting is not None:
        return Response(int(line[:3]), headers, waiting.content, waiting)
    status, is_head = int(line[:3]), environ["REQUEST_METHOD"] == "HEAD"
    # A HEAD has no content, and the length of the answer to a GET is not known here.
    if status not in BODILESS and not is_head and not any(name.lower() == "content-length" for name, _ in headers):
        headers = [*headers, ("Content-Length", str(len(content)))]
    return Response(status, headers, content)


def no_raw_stream(_: Callable[[], None]) -> None:
    """Leave streams to ASGI."""


def never(_: Response) -> bool:
    """Leave a response to ASGI."""
    return False


async def respond(send: Send, environ: WSGIEnvironment, response: Response, body: RequestBody) -> None:
    """Send a response. If the body was not read, close the connection, but not on a client that still sends."""
    headers = response.encoded_headers()
    if body.is_unread:
        headers.append((b"connection", b"close"))
    elif environ["SERVER_PROTOCOL"] == "HTTP/1.0" and environ.get("HTTP_CONNECTION", "").lower() == "keep-alive":
        headers.append((b"connection", b"keep-alive"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": body.is_unread})
    if body.is_unread:
        await body.drain()
        await send({"type": "http.response.body", "body": b""})

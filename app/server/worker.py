"""Gunicorn's ASGI worker: the contract's error shape for what is not HTTP, no patience, and an orderly end."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from socket import socket
from typing import Any

from gunicorn.asgi import protocol
from gunicorn.http.errors import ExpectationFailed, InvalidRequestLine
from gunicorn.util import split_request_uri
from gunicorn.workers import gasgi

from app.errors import BadRequest, ServiceError
from app.server.express import Express

REASON = "The request is not valid HTTP, or its request line or headers are too long."
# The only expectation that there is (RFC 9110, section 10.1.1).
CONTINUE = b"100-continue"
# Seconds that a client has for the headers of its first request.
PATIENCE = 5.0

# Gunicorn's own names only some of the statuses, and itself with the kind of its worker.
protocol._REASON_PHRASES.update({status.value: status.phrase for status in HTTPStatus})
protocol._CACHED_SERVER_HEADER = b"Server: gunicorn\r\n"
# A class derived from gunicorn's would note there, and not where gunicorn looks, that the parser in C is installed.
protocol.ASGIProtocol._check_h1c_protocol_available()


class Protocol(Express):
    """One connection: plain HTTP/1, whatever upgrade is asked for."""

    # Whether the client has sent all that it will ever send, and whether the answer to this request has begun.
    _ended = _answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, and do not wait for long for the first request."""
        super().connection_made(transport)
        self.worker.connections.add(self)
        self._keepalive_handle = self.worker.loop.call_later(PATIENCE, self._keepalive_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.worker.connections.discard(self)
        super().connection_lost(exc)

    def eof_received(self) -> bool:
        """Go on answering: a client may say that it has sent everything, and still wait for its answers."""
        self._ended = True
        body = self._body_receiver
        if body is not None and not body._complete:
            body.signal_disconnect()
        elif not self._request_ready.is_set():
            self._keepalive_timeout()
        return True

    def end_if_unused(self) -> None:
        """Close what was opened for a first request that may never come; what is kept open closes itself soon."""
        if self.req_count <= 1 and self._awaiting_request:
            self._arm_keepalive_timer()

    def _close_transport(self) -> None:
        super()._close_transport()
        # Where the client has hung up already, gunicorn's goodbye fails, and it goes no further.
        self.transport.close()

    def _arm_keepalive_timer(self) -> None:
        super()._arm_keepalive_timer()
        if self._ended:
            self.worker.loop.call_soon(self._keepalive_timeout)

    def _on_headers_complete(self) -> bool:
        """Begin a request. Raises ParseException for what cannot be one, which is then answered as such."""
        self._answered = False
        skip = super()._on_headers_complete()
        if not self._was_quick:
            require_sense(self._current_request)
        return skip

    async def _serve_http_request(self, request: Any, sockname: Any, peername: Any) -> bool:
        """Answer one request, in this connection's own task: the gateway has nothing to do after its answers."""
        return bool(await self._handle_http_request(request, sockname, peername))

    def _may_go_on(self) -> bool:
        return super()._may_go_on() and not self._ended

    def _is_websocket_upgrade(self, _: Any) -> bool:
        return False

    def _send_response_start(self, *of: Any, **which: Any) -> None:
        self._answered = True
        super()._send_response_start(*of, **which)

    def _send_error_response(self, status: int, *_: object) -> None:
        """Answer 400 for a client's fault, and 500 for the service's own, in one write.

        Gunicorn's message is not passed on, nor logged, since it quotes the request.
        """
        # What comes after an answer, while the rest of a body is awaited, is not answered again.
        if self._answered and self._body_receiver is not None:
            return
        ours = status == HTTPStatus.INTERNAL_SERVER_ERROR
        request_id = uuid.uuid4().hex
        self.log.warning(
            "not answered" if ours else "not HTTP",
            extra={"request_id": request_id, "failure": HTTPStatus(status).phrase},
        )
        self._safe_write(whole_answer(ServiceError() if ours else BadRequest(REASON), request_id))


def require_sense(request: Any) -> None:
    """Raise ParseException for what the parser lets pass, although it cannot be meant."""
    expected = dict(request.headers_bytes).get(b"expect", CONTINUE)
    if expected.lower() != CONTINUE:
        raise ExpectationFailed(expected)
    if not request.uri.startswith("/"):
        try:
            split_request_uri(request.uri)
        except ValueError as error:
            raise InvalidRequestLine(request.uri) from error


# Gunicorn's worker takes the protocol from its own module and from nowhere else.
gasgi.ASGIProtocol = Protocol


class Worker(gasgi.ASGIWorker):  # type: ignore[misc]
    """Finishes what was begun on each signal, and lets the application finish last."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connections: set[Protocol] = set()

    def _setup_event_loop(self) -> None:
        super()._setup_event_loop()
        self.loop.create_server = partial(listen, self.loop.create_server, self.cfg.backlog)

    def handle_quit_signal(self) -> None:
        """Take no less care when Ctrl-C reaches the worker from the terminal and from the master."""
        self.handle_exit_signal()

    async def _shutdown(self) -> None:
        for connection in self.connections:
            connection.end_if_unused()
        await super()._shutdown()

    def _cleanup(self) -> None:
        """Let the application finish, while the loop still sees to it that no further signal cuts this off."""
        self.asgi.close()
        super()._cleanup()


async def listen(create_server: Callable[..., Any], backlog: int, *args: Any, sock: socket, **kwargs: Any) -> Any:
    """Return a server that takes one connection at a time, so that its neighbours get their share of them.

    The loop takes as many at once as it lets wait, which are ``backlog`` all the same.
    """
    server = await create_server(*args, sock=sock, backlog=1, **kwargs)
    sock.listen(backlog)
    return server


def whole_answer(error: ServiceError, request_id: str) -> bytes:
    """Return all that is sent in place of an answer of the application."""
    said: dict[str, object] = {"error": error.code, "reason": error.reason, "request_id": request_id}
    if isinstance(error, BadRequest):
        said["errors"] = []
    body = json.dumps(said)
    head = (
        "HTTP/1.1 400 Bad Request" if isinstance(error, BadRequest) else "HTTP/1.1 500 Internal Server Error",
        "Connection: close",
        "Content-Type: application/json",
        "Cache-Control: no-store",
        f"Content-Length: {len(body)}",
        f"X-Request-ID: {request_id}",
    )
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()

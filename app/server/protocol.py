"""One HTTP/1 connection: uvicorn's protocol, by its public interface, with the limits that it leaves to proxies."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.errors import BadRequest
from app.http.cross_origin import NO_ORIGINS
from app.http.responses import Response, error_response
from app.server.environ import wsgi_environ
from app.server.framing import CHECKED_FIELDS, is_unambiguous, origin_form, without_upgrade
from app.server.wire import encoded

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger("dreamscript.server")

REASON = "The request is not valid HTTP, or its request line or headers are too long."
# The longest accepted list of ids leaves room for a cursor, so that x-next can be fetched.
MAX_TARGET_BYTES = 8190
MAX_FIELD_BYTES = 8190
MAX_FIELDS = 100
# Of a head that has not ended yet.
MAX_HEAD_BYTES = 2**20
# Requests that a client may send before it has read the first response.
MAX_PIPELINED = 100
# From the first byte of a request, or from the start of the connection, to the end of its headers.
HEAD_SECONDS = 5.0
# For a client to read what keeps the server from writing more.
STALLED_SECONDS = 120.0


class Protocol(HttpToolsProtocol):
    """Read requests strictly, ignore offers to upgrade, and respond from the cache at once."""

    cross_origin = NO_ORIGINS
    # Returns a cached response without waiting for anything; a subclass has a cache.
    lookup: Callable[[WSGIEnvironment], Response | None] = staticmethod(lambda _: None)
    # Receives the status of a response to bytes that are not HTTP; a subclass has metrics.
    count_refusal: Callable[[int], object] = staticmethod(lambda _: None)
    in_head = False
    head_bytes = fields = 0
    head_timer: asyncio.TimerHandle | None = None
    stall_timer: asyncio.TimerHandle | None = None
    # Whether the current request was answered from the cache, and whether bytes that are not HTTP wait for their turn.
    is_cached = is_refused = False

    @property
    def is_busy(self) -> bool:
        """Whether a request of this connection is still to be answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        # asyncio leaves this out for accepted connections, which delays small responses by 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        super().connection_lost(exc)
        self.stop_head_timer()
        self.resume_writing()

    def expect_head(self) -> None:
        """Close the connection if the headers of a request do not arrive in time."""
        if self.head_timer is None and not self.transport.is_closing():
            self.head_timer = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def stop_head_timer(self) -> None:
        """Note that the headers have arrived."""
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def stop_idle_timer(self) -> None:
        """Note that the connection is not idle."""
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        self.stop_idle_timer()
        try:
            self.parse(data)
            self.head_bytes = self.head_bytes + len(data) if self.in_head else 0
            if self.head_bytes > MAX_HEAD_BYTES:
                raise httptools.HttpParserError("headers too long")
        except httptools.HttpParserError:
            self.send_400_response(REASON)
        else:
            if not self.is_busy and self.timeout_keep_alive_task is None:
                self.expect_head()

    def parse(self, data: bytes) -> None:
        """Feed the parser. Raises HttpParserError.

        llhttp takes the bytes after an offer to upgrade for another protocol. A server may ignore the offer (RFC 9110,
        section 7.8), so a new parser reads the head again, without it.
        """
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                line = (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
                data = without_upgrade(line, self.headers) + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        """Start a request. A cached response to the one before, in the same data, has started the idle timer."""
        super().on_message_begin()
        self.stop_idle_timer()
        self.in_head, self.is_cached, self.fields = True, False, 0

    def on_url(self, url: bytes) -> None:
        """Add to the target. Raises HttpParserError if it is too long."""
        super().on_url(url)
        if len(self.url) > MAX_TARGET_BYTES:
            raise httptools.HttpParserError("request line too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Raises HttpParserError if there are too many, or it is too long.

        Trailers and spaces after a value are dropped (RFC 9110, 6.5.1 and 5.5), and names that WSGI takes for others.
        """
        self.fields += 1
        if self.fields > MAX_FIELDS or len(name) + len(value) > MAX_FIELD_BYTES:
            raise httptools.HttpParserError("headers too long")
        if self.in_head and b"_" not in name:
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Start to answer a request. Raises HttpParserError for one that could be misread."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            return
        self.in_head = False
        self.stop_head_timer()
        version = self.parser.get_http_version()
        checked = [field for field in self.headers if field[0] in CHECKED_FIELDS]
        if not is_unambiguous(version, checked) or len(self.pipeline) >= MAX_PIPELINED:
            raise httptools.HttpParserError("ambiguous framing")
        self.url = origin_form(self.url, self.headers)
        # No client of HTTP/1.0 knows 100 Continue.
        self.expect_100_continue = version == "1.1" and any(name == b"expect" for name, _ in checked)
        self.scope["http_version"] = version
        has_body = any(name != b"host" for name, _ in checked)
        if self.parser.get_method() == b"GET" and not (has_body or self.is_busy or self.flow.write_paused):
            self.respond_from_cache()
        if not self.is_cached:
            super().on_headers_complete()
            self.cycle.keep_alive = self.parser.should_keep_alive()
            self.scope["state"]["respond"] = partial(self.respond, self.cycle)

    def respond_from_cache(self) -> None:
        """Respond to a GET without a body at once if the cache can, which saves a task."""
        url = httptools.parse_url(self.url)
        self.scope |= {"method": "GET", "raw_path": url.path, "query_string": url.query or b""}
        response = self.lookup(wsgi_environ(self.scope))
        if response is not None:
            self.is_cached = True
            self.write(response, self.scope["http_version"], self.parser.should_keep_alive())
            self.on_response_complete()

    def respond(self, cycle: RequestResponseCycle, response: Response) -> bool:
        """Send a whole response, which costs half of ASGI's two messages. Returns False if that has to wait."""
        if self.flow.write_paused:
            return False
        if not cycle.disconnected:
            cycle.response_started = cycle.response_complete = True
            self.write(response, cycle.scope["http_version"], cycle.keep_alive)
            cycle.on_response()
        return True

    def write(self, response: Response, version: str, keep_alive: bool) -> None:
        """Write a response in one piece, and close the connection after it unless it is kept alive."""
        self.transport.write(encoded(response, self.server_state.default_headers, version, keep_alive))
        if not keep_alive:
            self.transport.close()

    def on_message_complete(self) -> None:
        """End a request. Its state lets the application know that it need not wait for the body."""
        if not self.in_head and not self.is_cached:
            self.scope["state"]["is_complete"] = True
            self.cycle.waiting_for_100_continue = False
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or refuse it now if it is the one that is not HTTP."""
        if self.is_refused and (not self.pipeline or self.pipeline[-1][0].more_body):
            self.write_refusal(is_reported=False)
        else:
            super().on_response_complete()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what has arrived: a client may have sent everything and still wait for its responses."""
        if not self.is_busy:
            return False
        if self.cycle.more_body:
            self.send_400_response(REASON)
        elif not self.is_refused:
            self.cycle.keep_alive = False
        return True

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - It could quote the request.
        """Refuse bytes that are not HTTP, after the responses that are still due, and close the connection."""
        is_queued = bool(self.pipeline) or self.in_head or (self.is_busy and not self.cycle.more_body)
        if self.is_busy and is_queued:
            self.is_refused = True
            self.flow.pause_reading()
        elif self.is_busy and self.cycle.response_started:
            self.transport.close()
        else:
            self.write_refusal(is_reported=self.is_busy)

    def write_refusal(self, is_reported: bool) -> None:
        """Send 400 in the contract's error shape. Of a request that has begun, the application makes the record."""
        if self.transport.is_closing():
            return
        request_id = secrets.token_hex(16)
        log.warning("not HTTP", extra={"request_id": request_id, "client": self.client and self.client[0]})
        origin = dict(self.headers or ()).get(b"origin", b"").decode("latin-1") or None
        response = error_response(BadRequest(REASON), request_id, self.cross_origin, origin)
        if not is_reported:
            self.count_refusal(response.status)
        self.write(response, "1.1", keep_alive=False)

    def pause_writing(self) -> None:
        """Hold back responses, and drop a client that reads none for too long."""
        super().pause_writing()
        self.stall_timer = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Write again."""
        super().resume_writing()
        if self.stall_timer is not None:
            self.stall_timer.cancel()
            self.stall_timer = None

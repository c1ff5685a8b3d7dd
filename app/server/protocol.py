"""One HTTP/1 connection: uvicorn's protocol with the limits, timers and refusals that it leaves to proxies.

Only public callbacks of uvicorn's class are extended, and only public attributes of it are read.
"""

from __future__ import annotations

import asyncio
import logging
import secrets

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.errors import BadRequest
from app.server.responses import error_response

log = logging.getLogger("dreamscript.server")

REASON = "The request is not valid HTTP, or its request line or headers are too long."
# The longest accepted list of ids leaves room for a cursor, so that x-next can be fetched.
MAX_TARGET_BYTES = 8190
MAX_FIELD_BYTES = 8190
MAX_FIELDS = 100
MAX_HEAD_BYTES = 65_536
# Requests that a client may send before it has read the first answer.
MAX_PIPELINED = 100
# From the first byte of a request, or from the start of the connection, to the end of its headers.
HEAD_SECONDS = 5.0
# A client must read at least this much of an answer in this time.
STALLED_SECONDS = 30.0
STALLED_BYTES = 32_768

CHECKED_FIELDS = frozenset({b"host", b"transfer-encoding", b"expect"})


class Protocol(HttpToolsProtocol):
    """Read requests strictly, keep to HTTP/1 whatever upgrade is offered, and drop clients that stall."""

    in_head = False
    head_bytes = 0
    fields = 0
    head_timer: asyncio.TimerHandle | None = None
    stall_timer: asyncio.TimerHandle | None = None
    is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the client HEAD_SECONDS to send the headers of its first request."""
        super().connection_made(transport)
        self.expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        super().connection_lost(exc)
        self.stop_head_timer()
        self.resume_writing()

    @property
    def is_busy(self) -> bool:
        """Whether a request of this connection is still to be answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def expect_head(self) -> None:
        """Close the connection unless the headers of a request arrive in time."""
        if self.head_timer is None and not self.transport.is_closing():
            self.head_timer = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def stop_head_timer(self) -> None:
        """Let the request take longer: its headers have arrived."""
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        was_in_head = self.in_head
        try:
            self.parse(data)
        except httptools.HttpParserError:
            self.send_400_response(REASON)
            return
        if was_in_head and self.in_head:
            self.head_bytes += len(data)
            if self.head_bytes > MAX_HEAD_BYTES:
                self.send_400_response(REASON)
        if not self.is_busy:
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
                data = self.head_without_upgrade() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)

    def head_without_upgrade(self) -> bytes:
        """Return the current request's line and headers, except Upgrade."""
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % field for field in self.headers if field[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self.in_head, self.head_bytes, self.fields = True, 0, 0

    def on_url(self, url: bytes) -> None:
        """Add to the target. Raises HttpParserError if it is too long."""
        super().on_url(url)
        if len(self.url) > MAX_TARGET_BYTES:
            raise httptools.HttpParserError("request line too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Raises HttpParserError if there are too many, or it is too long.

        Trailers are not headers (RFC 9110, section 6.5.1). A name with ``_`` could pass for another one in WSGI.
        """
        self.fields += 1
        if self.fields > MAX_FIELDS or len(name) + len(value) > MAX_FIELD_BYTES:
            raise httptools.HttpParserError("headers too long")
        if self.in_head and b"_" not in name:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start to answer a request. Raises HttpParserError for one that could be misread."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            return
        self.in_head = False
        self.stop_head_timer()
        version = self.parser.get_http_version()
        if not is_unambiguous(version, self.headers) or len(self.pipeline) >= MAX_PIPELINED:
            raise httptools.HttpParserError("ambiguous framing")
        self.url = origin_form(self.url)
        super().on_headers_complete()
        if version == "1.0":
            # Such a client knows no 100 Continue, and keeps a connection only if it says so.
            self.cycle.waiting_for_100_continue = False
            self.cycle.keep_alive = self.parser.should_keep_alive()

    def on_message_complete(self) -> None:
        """End a request. Its state lets the application know that it need not wait for the body."""
        if not self.in_head:
            self.scope["state"]["is_complete"] = True
            self.cycle.waiting_for_100_continue = False
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or refuse it now if it is the one that is not HTTP."""
        if self.is_refused and (not self.pipeline or self.pipeline[-1][0].more_body):
            self.write_refusal()
        else:
            super().on_response_complete()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what has arrived: a client may have sent everything and still wait for its answers."""
        if not self.is_busy:
            return False
        if self.cycle.more_body:
            self.send_400_response(REASON)
        elif not self.is_refused:
            self.cycle.keep_alive = False
        return True

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - It could quote the request.
        """Refuse what is not HTTP, after the answers that are still due, and close the connection."""
        is_queued = bool(self.pipeline) or self.in_head or (self.is_busy and not self.cycle.more_body)
        if self.is_busy and is_queued:
            self.is_refused = True
            self.flow.pause_reading()
        elif self.is_busy and self.cycle.response_started:
            self.transport.close()
        else:
            self.write_refusal()

    def write_refusal(self) -> None:
        """Send 400 in the contract's error shape."""
        if self.transport.is_closing():
            return
        request_id = secrets.token_hex(16)
        log.warning("not HTTP", extra={"request_id": request_id})
        response = error_response(BadRequest(REASON), request_id)
        fields = [*self.server_state.default_headers, *response.encoded_headers(), (b"connection", b"close")]
        head = b"".join(b"%b: %b\r\n" % field for field in fields)
        self.transport.write(STATUS_LINE[response.status] + head + b"\r\n" + response.body)
        self.transport.close()

    def pause_writing(self) -> None:
        """Hold back answers until the client has read, and drop it if it reads too little."""
        super().pause_writing()
        self.expect_progress()

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        if self.stall_timer is not None:
            self.stall_timer.cancel()
            self.stall_timer = None

    def expect_progress(self) -> None:
        """Note how much the client has still to read, to compare with later."""
        pending = self.transport.get_write_buffer_size()
        self.stall_timer = self.loop.call_later(STALLED_SECONDS, self.check_progress, pending)

    def check_progress(self, before: int) -> None:
        """Drop a client that has read less than STALLED_BYTES of the ``before`` bytes that were pending."""
        if self.transport.get_write_buffer_size() > before - STALLED_BYTES:
            self.transport.abort()
        else:
            self.expect_progress()


def is_unambiguous(version: str, headers: list[tuple[bytes, bytes]]) -> bool:
    """Return whether every recipient would agree on host and framing (RFC 9112, sections 3.2 and 6)."""
    hosts = 0
    for name, value in headers:
        if name not in CHECKED_FIELDS:
            continue
        if name == b"host":
            hosts += 1
        elif name == b"expect":
            if value.lower() != b"100-continue":
                return False
        elif value.lower() != b"chunked" or version == "1.0":
            return False
    return (version == "1.1" and hosts == 1) or (version == "1.0" and hosts <= 1)


def origin_form(target: bytes) -> bytes:
    """Return the path and query of a request target (RFC 9112, section 3.2). Raises HttpParserError."""
    if target.startswith(b"/") or target == b"*":
        return target
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise httptools.HttpParserError("unknown form of target")
    end = min((at for at in map(rest.find, (b"/", b"?", b"#")) if at >= 0), default=len(rest))
    return rest[end:] if rest[end : end + 1] == b"/" else b"/" + rest[end:]

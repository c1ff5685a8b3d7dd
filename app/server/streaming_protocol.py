"""One HTTP/1 connection with streams: without chunks for HTTP/1.0, ended while nothing is read, or half-closed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.server.protocol import Protocol

# The time that a client has to read the rest of a stream that has ended.
LINGER_SECONDS = 30.0


class StreamingProtocol(Protocol):
    """Let the application use the response of each request as a ``RawStream``, by the state in its ASGI scope."""

    # The response to a client that waits, or has waited, on this connection.
    raw_stream: RawStream | None = None
    has_ended_input = False

    def on_headers_complete(self) -> None:
        """Start to answer a request."""
        super().on_headers_complete()
        if not (self.is_cached or self.in_head):
            self.scope["state"]["stream"] = partial(RawStream, self, self.cycle)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the wait of the client. uvicorn informs only the last of several pipelined requests."""
        super().connection_lost(exc)
        if self.raw_stream is not None:
            self.raw_stream.lose()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer all requests so far. A client that waits may have left, or may have ended its side only."""
        is_open = super().eof_received()
        self.has_ended_input = True
        if self.raw_stream is not None:
            self.raw_stream.on_end_of_input()
        return is_open


class RawStream:
    """The response of ``cycle`` while its client waits. ``on_end_of_input``: the client has ended its side."""

    def __init__(
        self, protocol: StreamingProtocol, cycle: RequestResponseCycle, on_end_of_input: Callable[[], None]
    ) -> None:
        self._protocol, self._cycle, self.on_end_of_input = protocol, cycle, on_end_of_input
        protocol.raw_stream = self
        if protocol.has_ended_input:
            on_end_of_input()

    def begin_without_chunks(self) -> None:
        """Let the end of the connection be the end of the body, as HTTP/1.0 needs it (RFC 9112, section 6.3)."""
        self._cycle.keep_alive = False
        self._cycle.chunked_encoding, self._cycle.expected_content_length = False, sys.maxsize

    def lose(self) -> None:
        """Note that the connection is closed."""
        self._cycle.disconnected = True
        self._cycle.message_event.set()

    def end(self) -> None:
        """End the response after the bytes that were written, and close the connection, at last by force."""
        cycle, transport = self._cycle, self._cycle.transport
        if cycle.disconnected or cycle.response_complete:
            return
        if cycle.chunked_encoding:
            transport.write(b"0\r\n\r\n")
        cycle.response_complete = True
        transport.close()
        self._protocol.loop.call_later(LINGER_SECONDS, transport.abort)

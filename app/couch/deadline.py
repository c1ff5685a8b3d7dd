"""Sockets that keep one deadline for a whole request, however slowly the other side makes progress."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from app.couch.failures import Cancelled

# At most this much is read at a time.
RECEIVED_BYTES = 2**16


class TimeBudget(Protocol):
    """The time to wait for the next bytes."""

    def remaining(self) -> float:
        """Return the seconds left. Raises TimeoutError when there are none."""


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the moment ``seconds`` from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Return the seconds left. Raises TimeoutError when there are none."""
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the deadline has passed")
        return seconds


@dataclass(frozen=True)
class IdleTimeout:
    """Waits without a deadline for a server that sends something at least every ``seconds``, while ``is_needed``.

    It also ends when the connection's pool is closed, and must not be needed by then.
    """

    seconds: float
    is_needed: Callable[[], bool]

    def remaining(self) -> float:
        """Return ``seconds``. Raises Cancelled once the answer is not needed any more."""
        if not self.is_needed():
            raise Cancelled("the caller no longer waits for the answer")
        return self.seconds


class TimedSocket:
    """A connected socket, plain or TLS, with a deadline for each request.

    Python's socket timeout applies to each call, so a server that sends one byte at a time would extend it without
    end. Here each call gets the time left until ``deadline``, which the pool replaces for each request.
    """

    def __init__(self, wrapped: socket.socket, deadline: TimeBudget) -> None:
        self._wrapped, self.deadline = wrapped, deadline

    def send(self, data: bytes) -> None:
        """Send all of ``data``. Raises OSError."""
        self._wrapped.settimeout(self.deadline.remaining())
        self._wrapped.sendall(data)

    def receive(self) -> bytes:
        """Return the next bytes, none at the end of the stream. Raises OSError."""
        self._wrapped.settimeout(self.deadline.remaining())
        return self._wrapped.recv(RECEIVED_BYTES)

    def has_input(self) -> bool:
        """Return whether there is something to read, including the end of the stream."""
        poll = select.poll()
        poll.register(self._wrapped, select.POLLIN)
        return bool(poll.poll(0))

    def interrupt(self) -> None:
        """End the wait of another thread for input, which then sees the end of the stream."""
        with suppress(OSError):
            # SSLSocket.shutdown would take the TLS state from under the reader.
            socket.socket.shutdown(self._wrapped, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket without a TLS shutdown, since the parent of a fork may still use the connection."""
        self._wrapped.close()


def connect(host: str, port: int, tls: ssl.SSLContext | None, deadline: TimeBudget) -> TimedSocket:
    """Connect to the first address of ``host`` that accepts, with TLS if a context is given.

    Raises OSError, and UnicodeError for an invalid host name. The name lookup is limited by the system's resolver
    only.
    """
    failure: OSError = OSError("the name has no address")
    for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            plain = socket.create_connection((str(address[0]), port), deadline.remaining())
        except OSError as error:
            failure = error
        else:
            return TimedSocket(_prepared(plain, host, tls, deadline), deadline)
    raise failure


def _prepared(plain: socket.socket, host: str, tls: ssl.SSLContext | None, deadline: TimeBudget) -> socket.socket:
    try:
        # A large body is sent after its headers, and must not wait until they are acknowledged.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None:
            return plain
        plain.settimeout(deadline.remaining())
        return tls.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise

"""Sockets that keep one deadline, however often the other side lets them make a little progress."""

from __future__ import annotations

import io
import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from app.couch.failures import Cancelled

# What is larger is sent as soon as it is there.
LARGE = 2**16


class TimeBudget(Protocol):
    """How long to wait for the next bytes."""

    def remaining(self) -> float:
        """Return the seconds that are left. Raises TimeoutError when there are none."""


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the moment ``seconds`` from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Return the seconds that are left. Raises TimeoutError when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time is over")
        return left


@dataclass(frozen=True)
class IdleTimeout:
    """Waits without end for one who gives a sign of life at least every ``seconds``, as long as that is ``wanted``."""

    seconds: float
    wanted: Callable[[], bool]

    def remaining(self) -> float:
        """Return the seconds until the next sign. Raises Cancelled."""
        if not self.wanted():
            raise Cancelled("nobody waits any more")
        return self.seconds


class TimedSocket:
    """As much of a connected socket, plain or TLS, as http.client asks for.

    A timeout of Python's holds for each call alone, so a server that sends a byte at a time would stretch it without
    end. Here each call gets what is left of ``deadline``, which is set anew for each request.
    """

    def __init__(self, wrapped: socket.socket, deadline: TimeBudget) -> None:
        self._wrapped, self.deadline = wrapped, deadline
        self._unsent: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        """Send all of ``data``, at the latest when it is flushed. Raises OSError."""
        self._unsent.append(data)
        if len(data) > LARGE:
            self.flush()

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a reader of what comes; the socket stays open until both are closed."""
        return io.BufferedReader(_Reader(self._wrapped, self.deadline))

    def flush(self) -> None:
        """Send headers and body as one piece, which wakes the other side up once. Raises OSError."""
        data = b"".join(self._unsent)
        self._unsent.clear()
        self._wrapped.settimeout(self.deadline.remaining())
        self._wrapped.sendall(data)

    def has_news(self) -> bool:
        """Tell whether there is something to read, which may be the end."""
        poll = select.poll()
        poll.register(self._wrapped, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close the socket, without a word to the other side that a fork's parent may still be speaking to."""
        self._wrapped.close()


class _Reader(io.RawIOBase):
    def __init__(self, wrapped: socket.socket, deadline: TimeBudget) -> None:
        self._socket, self._deadline = wrapped, deadline
        self._raw = wrapped.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(self._deadline.remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def connect(host: str, port: int, tls: ssl.SSLContext | None, deadline: TimeBudget) -> TimedSocket:
    """Connect to the first address of ``host`` that answers, with TLS if a context is given.

    Raises OSError, and UnicodeError for a name that no host can have. Only the resolver's own timeouts bound how long
    it looks for the name.
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
        # A large body is sent apart from its headers, and must not wait for these to be acknowledged.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None:
            return plain
        plain.settimeout(deadline.remaining())
        return tls.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise

"""An HTTP proxy in front of the database that injects faults by a plan."""

from __future__ import annotations

import contextlib
import io
import random
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from proofs.http_messages import message, reset_on_close
from proofs.listener import Listener
from tests.ports import reserve_port

# Seconds between two checks of a wait, and the longest wait of the proxy.
PAUSE_SECONDS, LIMIT_SECONDS = 0.02, 60.0


@dataclass(frozen=True)
class Request:
    """A request to the database as it was read: ``raw`` is all of it, head and body."""

    method: str
    target: str
    raw: bytes

    @property
    def is_write(self) -> bool:
        """Whether it is a write; for a POST to CouchDB the path decides."""
        path = self.target.partition("?")[0]
        reads = "/_view/" in path or path.rsplit("/", 1)[-1] in ("_all_docs", "_bulk_get", "_find")
        return self.method in ("PUT", "DELETE") or (
            self.method == "POST" and not reads and "/_view/" not in self.target
        )


@dataclass(frozen=True)
class Exchange:
    """A request and the connections to serve it; ``lifted`` is set when the fault shall end."""

    request: Request
    client: socket.socket
    upstream: tuple[str, int]
    lifted: threading.Event

    def forward(self) -> Iterator[bytes]:
        """Send the request on, and yield the database's answer as it comes: its head, then pieces of its body.

        Raises OSError.
        """
        with socket.create_connection(self.upstream, LIMIT_SECONDS) as server:
            server.sendall(self.request.raw)
            yield from message(io.BufferedReader(_Reader(server, self.client)), answers=self.request.method)
            # A reset leaves no port behind that cannot be used for a minute (RFC 9293, section 3.6.1).
            reset_on_close(server)

    def answer(self) -> bytes:
        """Send the request on, and return the database's whole answer. Raises OSError."""
        return b"".join(self.forward())

    def wait(self, seconds: float = LIMIT_SECONDS) -> bool:
        """Wait for ``seconds`` or until the fault is lifted. Returns False as soon as the client leaves."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.lifted.is_set():
            if select.select([self.client], [], [], PAUSE_SECONDS)[0]:
                return False
        return True


class _Reader(io.RawIOBase):
    """Reads from ``server`` for as long as ``client`` is there. Raises OSError."""

    def __init__(self, server: socket.socket, client: socket.socket) -> None:
        self._server, self._client = server, client

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._server not in select.select([self._server, self._client], [], [], LIMIT_SECONDS)[0]:
            raise ConnectionError("the client has left, or the server says nothing")
        return self._server.recv_into(buffer)


@dataclass(frozen=True)
class Fault:
    """A fault of an exchange. ``act`` returns whether the client's connection stays open."""

    name: str
    act: Callable[[Exchange], bool]


def passing(exchange: Exchange) -> bool:
    """Pass the exchange through, each piece of the answer as it arrives."""
    for piece in exchange.forward():
        exchange.client.sendall(piece)
    return True


PASS = Fault("pass", passing)
# Chooses the fault of a request. One thread calls it at a time.
Plan = Callable[[Request], Fault]
Filter = Callable[[Request], bool]


def everything(_: Request) -> bool:
    """Let a fault happen to every request."""
    return True


def writes(request: Request) -> bool:
    """Let a fault happen to writes alone."""
    return request.is_write


def always(fault: Fault, only: Filter = everything) -> Plan:
    """Return a plan of one fault."""
    return lambda request: fault if only(request) else PASS


def by_seed(seed: int, weights: Mapping[Fault, float], only: Filter = everything) -> Plan:
    """Return a plan that draws a fault for each request that it is ``only`` for, and passes the others.

    The n-th draw is the same for the same seed. A weight is a share of 1; the rest passes.
    """
    drawn, faults = random.Random(seed), [*weights, PASS]
    shares = [*weights.values(), 1 - sum(weights.values())]
    assert shares[-1] >= 0, "more than every exchange is to fail"
    return lambda request: drawn.choices(faults, shares)[0] if only(request) else PASS


class Proxy:
    """Listen on a port of its own in front of the server at ``url``; ``counts`` has the number of each fault."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.scheme == "http", "the proxy speaks no TLS"
        self._upstream = parts.hostname or "", parts.port or 80
        # The port stays ours while connections to it are refused.
        self._reserved = reserve_port()
        self._port = self._reserved.getsockname()[1]
        userinfo = parts.netloc.rpartition("@")[0]
        self.url = f"http://{userinfo}{'@' if userinfo else ''}127.0.0.1:{self._port}"
        self.counts: Counter[str] = Counter()
        self._lock, self._plan, self._lifted = threading.Lock(), always(PASS), threading.Event()
        self._listener = Listener(self._port, self._serve)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._lifted.set()
        self._listener.end()
        self._reserved.close()

    @contextmanager
    def under(self, plan: Plan) -> Iterator[None]:
        """Follow ``plan`` during the context; afterwards everything passes, requests that it held included."""
        with self._lock:
            assert not self._lifted.is_set()
            before, self._plan = self._plan, plan
        try:
            yield
        finally:
            with self._lock:
                lifted, self._lifted, self._plan = self._lifted, threading.Event(), before
            lifted.set()

    def doing(self, fault: Fault, only: Filter = everything) -> contextlib.AbstractContextManager[None]:
        """Have ``fault`` happen to every request that it is ``only`` for."""
        return self.under(always(fault, only))

    @contextmanager
    def down(self, *, accepting: bool = False) -> Iterator[None]:
        """Close all connections and refuse new ones, or accept and close them if ``accepting``."""
        self._listener.end()
        if accepting:
            self._listener = Listener(self._port, lambda _: None)
        try:
            yield
        finally:
            self._listener.end()
            self._listener = Listener(self._port, self._serve)

    def _serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client.makefile("rb") as reader:
            while (raw := b"".join(message(reader))) and self._exchange(raw, client):
                pass

    def _exchange(self, raw: bytes, client: socket.socket) -> bool:
        method, target, _ = raw.split(b" ", 2)
        request = Request(method.decode(), target.decode(), raw)
        with self._lock:
            fault, lifted = self._plan(request), self._lifted
            self.counts[fault.name] += 1
        return fault.act(Exchange(request, client, self._upstream, lifted))

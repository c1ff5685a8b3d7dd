"""An HTTP server with one behaviour, good or bad, for each request."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from app.couch.connection import Connection

# A self-signed certificate for 127.0.0.1 that is valid for a hundred years.
CERTIFICATE = Path(__file__).with_suffix(".pem")
# The seconds between the bytes of a trickle, and the longest wait of the server.
PAUSE_SECONDS, LIMIT_SECONDS = 0.02, 60.0
# A slow server reads this much between two pauses.
CHUNK_BYTES = 2**15


@dataclass(frozen=True)
class Request:
    """A request with header names in lower case, and the number of its connection, from 0."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True)
class Turn:
    """One request and its socket; ``ending`` is set when the server stops."""

    sock: socket.socket
    request: Request
    ending: threading.Event


# Answers one request, and returns whether the connection stays open.
Behaviour = Callable[[Turn], bool]
# Reads a request's body of a given length, until the event is set.
Take = Callable[[io.BufferedIOBase, int, threading.Event], bytes]


class MisbehavingServer:
    """Answers the n-th request by the n-th behaviour, and any further one by the last behaviour."""

    def __init__(
        self, *behaviours: Behaviour, tls: bool = False, host: str = "127.0.0.1", take: Take | None = None
    ) -> None:
        self.requests: list[Request] = []
        # Released each time a connection has ended on this side.
        self.gone = threading.Semaphore(0)
        self._behaviours, self._take = behaviours, take or at_once
        self._lock, self._ending = threading.Lock(), threading.Event()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        if self._tls:
            self._tls.load_cert_chain(CERTIFICATE)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        if take:
            # Otherwise the system would buffer the body for the server.
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK_BYTES)
        self.host = f"[{host}]" if ":" in host else host
        self.host += f":{self._listener.getsockname()[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> MisbehavingServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while self._awaited(self._listener):
            accepted = self._listener.accept()[0]
            self._threads.append(threading.Thread(target=self._serve, args=(accepted, len(self._threads) - 1)))
            self._threads[-1].start()

    def _awaited(self, sock: socket.socket) -> bool:
        """Wait until there is something to read; return False if the server stops before."""
        while not self._ending.is_set():
            if select.select([sock], [], [], PAUSE_SECONDS)[0]:
                return True
        return False

    def _serve(self, accepted: socket.socket, connection: int) -> None:
        accepted.settimeout(LIMIT_SECONDS)
        with accepted, contextlib.suppress(OSError):
            sock = self._tls.wrap_socket(accepted, server_side=True) if self._tls else accepted
            with sock, sock.makefile("rb") as reader:
                while self._awaited(sock) and (request := self._read(reader, connection)):
                    if not self._behaviour(request)(Turn(sock, request, self._ending)):
                        break
        self.gone.release()

    def _behaviour(self, request: Request) -> Behaviour:
        with self._lock:
            self.requests.append(request)
            return self._behaviours[min(len(self.requests), len(self._behaviours)) - 1]

    def _read(self, reader: io.BufferedIOBase, connection: int) -> Request | None:
        """Return the next request, None at the end of the connection."""
        start = reader.readline().split()
        if not start:
            return None
        headers: dict[str, str] = {}
        while line := reader.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = self._take(reader, int(headers.get("content-length", 0)), self._ending)
        return Request(start[0].decode(), start[1].decode(), headers, body, connection)


@contextlib.contextmanager
def speaking(*behaviours: Behaviour) -> Iterator[tuple[Connection, MisbehavingServer]]:
    """Connect to a server with these behaviours, with a timeout for slow machines."""
    with MisbehavingServer(*behaviours) as server:
        connection = Connection(server.url, timeout=30)
        yield connection, server
        connection.close()


def reply(status: int, body: bytes = b"", *headers: str) -> bytes:
    """Return a well-formed answer."""
    lines = [f"HTTP/1.1 {status} Test", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def answer(status: int, value: object = None) -> Behaviour:
    """Answer as CouchDB does, and keep the connection open."""
    return send(reply(status, json.dumps({} if value is None else value).encode(), "Content-Type: application/json"))


def send(data: bytes, *, keep: bool = True) -> Behaviour:
    """Send exactly ``data``."""

    def behave(turn: Turn) -> bool:
        turn.sock.sendall(data)
        return keep

    return behave


def echo(turn: Turn) -> bool:
    """Answer with the target of the request."""
    return answer(200, {"target": turn.request.target})(turn)


def reset(turn: Turn) -> bool:
    """End the connection by a reset (RFC 9293, section 3.5.2)."""
    turn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def hang(turn: Turn) -> bool:
    """Never answer."""
    turn.ending.wait(LIMIT_SECONDS)
    return False


def trickle(data: bytes) -> Behaviour:
    """Send the bytes of ``data`` one by one, over and over."""

    def behave(turn: Turn) -> bool:
        for byte in itertools.cycle(data):
            if turn.ending.wait(PAUSE_SECONDS):
                return False
            turn.sock.sendall(bytes([byte]))
        return False

    return behave


def at_once(reader: io.BufferedIOBase, length: int, _: threading.Event) -> bytes:
    """Read a request's body without a pause."""
    return reader.read(length)


def slowly(reader: io.BufferedIOBase, length: int, ending: threading.Event) -> bytes:
    """Read a request's body in small parts."""
    total = 0
    while total < length and not ending.wait(PAUSE_SECONDS):
        total += len(reader.read(min(CHUNK_BYTES, length - total)))
    return b""

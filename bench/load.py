"""Generate load: one thread keeps many connections busy with prepared requests and counts the answers.

It reads only the status and the length of an answer, so that it uses little of the measured machine.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

HEAD = re.compile(rb"HTTP/1\.1 (\d{3}).*?\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE | re.DOTALL)
END = b"\r\n\r\n"
# Seconds without any answer after which the run fails.
PATIENCE = 30


@dataclass(frozen=True)
class Target:
    """POSTs to one path of a server. ``body`` returns the next body; ``expects`` is the status of every answer."""

    url: str
    headers: Mapping[str, str]
    body: Callable[[], bytes]
    expects: int = 201

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return str(parts.hostname), parts.port or 80

    def requests(self) -> Callable[[], bytes]:
        """Return a function that returns the bytes of the next request."""
        parts = urlsplit(self.url)
        userinfo, _, host = parts.netloc.rpartition("@")
        headers = {"Host": host, "Content-Type": "application/json", **self.headers}
        if userinfo:
            headers["Authorization"] = f"Basic {b64encode(unquote(userinfo).encode()).decode()}"
        lines = [f"POST {parts.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join(lines).encode()

        def request() -> bytes:
            body = self.body()
            return b"%s\r\nContent-Length: %d\r\n\r\n%s" % (head, len(body), body)

        return request


def throughput(target: Target, connections: int, seconds: float) -> float:
    """Return the answers per second on ``connections``, each of which sends its next request at once.

    Requests sent before the ``seconds`` are over are waited for and counted, so that the next target has the machine
    for itself.
    """
    request, answered, sent = target.requests(), 0, connections
    with selectors.DefaultSelector() as selector:
        sockets = [socket.create_connection(target.address, PATIENCE) for _ in range(connections)]
        try:
            for sock in sockets:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(sock, selectors.EVENT_READ, bytearray())
            started = time.perf_counter()
            for sock in sockets:
                sock.sendall(request())
            while answered < sent:
                again = time.perf_counter() < started + seconds
                completed = _turn(selector, request if again else None, target.expects)
                answered, sent = answered + completed, sent + (completed if again else 0)
            return answered / (time.perf_counter() - started)
        finally:
            for sock in sockets:
                sock.close()


def _turn(selector: selectors.BaseSelector, request: Callable[[], bytes] | None, expects: int) -> int:
    """Send the next request on each connection whose answer is complete. Returns the number of complete answers."""
    answered, ready = 0, selector.select(PATIENCE)
    assert ready, f"no answer in {PATIENCE} seconds"
    for key, _ in ready:
        sock, received = key.fileobj, key.data
        assert isinstance(sock, socket.socket)
        piece = sock.recv(2**18)
        assert piece, f"the connection was closed after {bytes(received[:500])!r}"
        received += piece
        if _is_whole(received, expects):
            received.clear()
            answered += 1
            if request:
                sock.sendall(request())
    return answered


def _is_whole(received: bytearray, expects: int) -> bool:
    """Return whether an answer has been received to its last byte."""
    end = received.find(END)
    if end < 0:
        return False
    head = HEAD.match(received, 0, end + 2)
    assert head, bytes(received[:end])
    assert int(head[1]) == expects, bytes(received[:1000])
    return len(received) >= end + len(END) + int(head[2])

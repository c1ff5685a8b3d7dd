"""The faults that tests inject between the service and its database."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.client import HTTPResponse
from socket import socket
from typing import cast

from proofs.http_messages import reset_on_close
from proofs.proxy import Exchange, Fault, passing


def _refuse(_: Exchange) -> bool:
    return False


def _reset(exchange: Exchange) -> bool:
    reset_on_close(exchange.client)
    return False


def _cut_after(exchange: Exchange) -> bool:
    exchange.answer()
    return False


def _halves(answer: bytes) -> tuple[bytes, bytes]:
    """Return an answer up to the middle of its body, and the rest."""
    middle = (answer.index(b"\r\n\r\n") + 4 + len(answer)) // 2
    return answer[:middle], answer[middle:]


def _cut_within(exchange: Exchange) -> bool:
    exchange.client.sendall(_halves(exchange.answer())[0])
    return False


def _cut_headers(exchange: Exchange) -> bool:
    answer = exchange.answer()
    exchange.client.sendall(answer[: answer.index(b"\r\n\r\n") // 2])
    return False


def _hang(exchange: Exchange) -> bool:
    return exchange.wait() and passing(exchange)


def _stall(exchange: Exchange) -> bool:
    first, second = _halves(exchange.answer())
    exchange.client.sendall(first)
    if not exchange.wait():
        return False
    exchange.client.sendall(second)
    return True


def delay(seconds: float) -> Fault:
    """Return the fault that delays a request by ``seconds``."""
    return Fault(f"delay by {seconds} s", lambda exchange: exchange.wait(seconds) and passing(exchange))


# The request never reaches the database; the connection is closed, or reset.
CUT_BEFORE = Fault("cut before the commit", _refuse)
RESET_BEFORE = Fault("reset before the commit", _reset)
# The database has carried out the request; the answer is lost, or cut in its headers or its body.
CUT_AFTER = Fault("cut after the commit", _cut_after)
CUT_HEADERS = Fault("cut within the headers", _cut_headers)
CUT_WITHIN = Fault("cut within the answer", _cut_within)
# Held until lifted; the request of a client that has left by then is dropped.
HANG = Fault("hang before the commit", _hang)
# Half of the answer is sent, and the rest when the fault is lifted.
STALL = Fault("stall within the answer", _stall)


@dataclass(frozen=True)
class Answer:
    """An answer in parts: ``start`` and ``headers`` are lines without their ends, the body is decoded."""

    start: bytes
    headers: tuple[bytes, ...]
    body: bytes

    @classmethod
    def read(cls, raw: bytes, method: str) -> Answer:
        """Return the parts of a whole answer to ``method``; its length is left out of its headers."""
        response = HTTPResponse(cast(socket, _Bytes(raw)), method=method)
        response.begin()
        headers = (f"{name}: {value}".encode("latin-1") for name, value in response.getheaders())
        lines = (line for line in headers if not line.lower().startswith((b"content-length:", b"transfer-encoding:")))
        return cls(raw.partition(b"\r\n")[0], tuple(lines), response.read())

    def sealed(self, length: bytes | None = None) -> bytes:
        """Return the whole answer, with its length or ``length`` in its header."""
        length_line = b"Content-Length: " + (str(len(self.body)).encode() if length is None else length)
        return b"\r\n".join((self.start, *self.headers, length_line, b"", self.body))


class _Bytes:
    """The part of a socket that HTTPResponse uses."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def corrupt(name: str, spoil: Callable[[Answer], bytes], *, keep: bool = False) -> Fault:
    """Return the fault that lets the database commit and sends its answer altered by ``spoil``.

    The connection ends with it unless ``keep``, which an answer needs that is taken for one: the next request would
    race with the end.
    """

    def act(exchange: Exchange) -> bool:
        exchange.client.sendall(spoil(Answer.read(exchange.answer(), exchange.request.method)))
        return keep

    return Fault(f"corrupt: {name}", act)


def status(answer: Answer, line: str) -> Answer:
    """Return ``answer`` under another status."""
    return replace(answer, start=f"HTTP/1.1 {line}".encode())


def typed(answer: Answer, media_type: str) -> Answer:
    """Return ``answer`` under another media type."""
    others = (line for line in answer.headers if not line.lower().startswith(b"content-type:"))
    return replace(answer, headers=(*others, f"Content-Type: {media_type}".encode()))


def html(answer: Answer) -> Answer:
    """Return the error page of a proxy."""
    return typed(replace(answer, body=b"<html><h1>Internal Server Error</h1></html>"), "text/html")


# Each is invalid as an answer, and has reached the database.
CORRUPT = [
    corrupt("status line", lambda answer: replace(answer, start=b"\x16\x03\x01\x00\xff").sealed()),
    corrupt("status number", lambda answer: status(answer, "2o1 Created").sealed()),
    corrupt("long header", lambda answer: replace(answer, headers=(b"X-Long: " + b"x" * 70_000,)).sealed()),
    corrupt("no colon", lambda answer: replace(answer, headers=(b"no colon", *answer.headers)).sealed()),
    corrupt("length", lambda answer: answer.sealed(str(len(answer.body) + 1).encode())),
    corrupt("shortened JSON", lambda answer: replace(answer, body=answer.body.rstrip()[:-1]).sealed()),
    corrupt("garbled JSON", lambda answer: replace(answer, body=answer.body.replace(b":", b"\xff")).sealed()),
    corrupt("no body", lambda answer: replace(answer, body=b"").sealed()),
    corrupt("another object", lambda answer: replace(answer, body=b"{}").sealed()),
    corrupt("rows of nothing", lambda answer: replace(answer, body=b'{"rows": [{}]}').sealed()),
    corrupt("202 Accepted", lambda answer: status(answer, "202 Accepted").sealed()),
    corrupt("500 with HTML", lambda answer: html(status(answer, "500 Internal Server Error")).sealed()),
    corrupt("200 with HTML", lambda answer: html(status(answer, "200 OK")).sealed()),
]
# A wrong media type alone is harmless (docs/couchdb-quirks.md).
HARMLESS = [
    corrupt("content type", lambda answer: typed(answer, "text/html").sealed(), keep=True),
]
LOST = [CUT_BEFORE, RESET_BEFORE, CUT_AFTER, CUT_HEADERS, CUT_WITHIN]
SILENT = [HANG, STALL, delay(30)]

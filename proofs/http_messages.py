"""Reads HTTP/1.1 messages unchanged (RFC 9112), and resets connections, for the fault proxy."""

from __future__ import annotations

import io
import socket
import struct
from collections.abc import Iterator
from http.client import HTTPMessage, parse_headers

PIECE_BYTES = 2**16


def reset_on_close(sock: socket.socket) -> None:
    """Make closing ``sock`` a reset (RFC 9293, section 3.5.2)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def message(reader: io.BufferedIOBase, answers: str | None = None) -> Iterator[bytes]:
    """Yield an HTTP/1.1 message unchanged (RFC 9112, section 6): its head, then its body in pieces.

    ``answers`` is the method of the request that it answers, None for a request. At the end of the connection there is
    no request. Raises ConnectionError for an answer that is missing, and for a message that is cut or that only the end
    of the connection would end.
    """
    start = reader.readline()
    if not start and answers is None:
        return
    if not start:
        raise ConnectionError("no answer")
    lines = list(iter(lambda: _line(reader), b"\r\n"))
    yield b"".join((start, *lines, b"\r\n"))
    headers = parse_headers(io.BytesIO(b"".join((*lines, b"\r\n"))))
    if answers == "HEAD" or (answers and start.split()[1] in (b"204", b"304")):
        return
    yield from _body(reader, headers, required=answers is not None)


def _body(reader: io.BufferedIOBase, headers: HTTPMessage, required: bool) -> Iterator[bytes]:
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        size = 1
        while size:
            line = _line(reader)
            size = int(line.split(b";")[0], 16)
            yield line
            yield from _exactly(reader, size)
            yield _line(reader)
    elif "Content-Length" in headers:
        yield from _exactly(reader, int(headers["Content-Length"]))
    elif required:
        raise ConnectionError("an answer whose end is not marked")


def _line(reader: io.BufferedIOBase) -> bytes:
    line = reader.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("a message that is cut")
    return line


def _exactly(reader: io.BufferedIOBase, size: int) -> Iterator[bytes]:
    while size:
        piece = reader.read1(min(size, PIECE_BYTES))
        if not piece:
            raise ConnectionError("a message that is cut")
        size -= len(piece)
        yield piece

"""Writes whole responses as HTTP/1, in one piece each."""

from __future__ import annotations

from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.http.responses import Response


def encoded(response: Response, defaults: Iterable[tuple[bytes, bytes]], version: str, keep_alive: bool) -> bytes:
    """Return the bytes of a response to a request of HTTP ``version``, with the server's ``defaults`` as headers."""
    fields = [f"{name}: {value}\r\n" for name, value in response.headers]
    if not keep_alive:
        fields.append("connection: close\r\n")
    elif version == "1.0":
        fields.append("connection: keep-alive\r\n")
    head = [b"%b: %b\r\n" % field for field in defaults]
    return b"".join((STATUS_LINE[response.status], *head, "".join(fields).encode("latin-1"), b"\r\n", response.body))

"""Whole responses that are made without Flask: those of the cache, and refusals."""

from __future__ import annotations

from typing import NamedTuple

from app.errors import ServiceError
from app.http import errors
from app.http.answers import JSON, NO_STORE, json_line
from app.http.cross_origin import NO_ORIGINS, CrossOrigin
from app.http.waiting import WaitingBody


class Response(NamedTuple):
    """A status, headers as WSGI has them, and a body; a client that is ``waiting`` does not get it yet."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    waiting: WaitingBody | None = None

    def encoded_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers as ASGI has them."""
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]


def error_response(
    error: ServiceError, request_id: str, cross_origin: CrossOrigin = NO_ORIGINS, origin: str | None = None
) -> Response:
    """Return the response for ``error`` to a request, of a page of ``origin``, that never reached Flask."""
    content = json_line(errors.body(error, request_id))
    headers = {
        "Content-Type": JSON,
        "Content-Length": str(len(content)),
        **NO_STORE,
        "X-Request-ID": request_id,
        **error.headers,
    }
    return Response(error.status, cross_origin.with_headers(list(headers.items()), origin), content)

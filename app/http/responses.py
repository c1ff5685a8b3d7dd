"""Whole responses that are made without Flask: those of the cache, and refusals."""

from __future__ import annotations

import json
from typing import NamedTuple

from app.errors import ServiceError
from app.http import errors


class Response(NamedTuple):
    """A status, headers as WSGI has them, and a body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def encoded_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers as ASGI has them."""
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]


def error_response(error: ServiceError, request_id: str) -> Response:
    """Return the response for ``error`` to a request that never reached Flask."""
    content = json.dumps(errors.body(error, request_id)).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        "Cache-Control": "no-store",
        "X-Request-ID": request_id,
        **error.headers,
    }
    return Response(error.status, list(headers.items()), content)

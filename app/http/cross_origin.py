"""Lets pages of other origins call the API: cross-origin resource sharing (CORS, https://fetch.spec.whatwg.org)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from app.request_context import METHODS
from app.urls import ANY_ORIGIN

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Headers = list[tuple[str, str]]

# Browsers let a page send only these, and those that need no permission.
REQUEST_HEADERS = (
    "X-API-Key",
    "Authorization",
    "Content-Type",
    "Accept",
    "Cache-Control",
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
    "Last-Event-ID",
    "X-Request-ID",
)
# Browsers let a page read only these, and those that need no permission.
RESPONSE_HEADERS = (
    "ETag",
    "Location",
    "Link",
    "x-next",
    "x-conflict",
    "Last-Modified",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "Idempotency-Replayed",
    "X-Request-ID",
    "Accept-Patch",
)
MAX_AGE_SECONDS = 7200
ALLOW_ORIGIN = "Access-Control-Allow-Origin"
EXPOSE = ("Access-Control-Expose-Headers", ", ".join(RESPONSE_HEADERS))
PREFLIGHT = {
    "Access-Control-Allow-Methods": ", ".join(METHODS),
    "Access-Control-Allow-Headers": ", ".join(REQUEST_HEADERS),
    "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
}


class CrossOrigin:
    """The headers that let pages of ``origins`` read responses; ``*`` stands for any origin.

    Credentials that a browser adds by itself, such as cookies, are never allowed: a page needs a key of its own.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)
        self._is_open = ANY_ORIGIN in self._origins
        self._open_headers = [(ALLOW_ORIGIN, ANY_ORIGIN), EXPOSE] if self._is_open else []

    def allows(self, origin: str | None) -> bool:
        """Return whether pages of ``origin``, as the header Origin has it, may call the API."""
        return origin is not None and (self._is_open or origin in self._origins)

    def with_headers(self, headers: Headers, origin: str | None) -> Headers:
        """Return the headers of any response, errors and 304 included, with those for a page of ``origin``.

        With a list of origins, each response varies by Origin, so that a shared cache gives it to no other origin.
        """
        if self._is_open or not self._origins:
            return headers + self._open_headers
        varied = _varied(headers)
        return [*varied, (ALLOW_ORIGIN, origin), EXPOSE] if origin in self._origins and origin else varied

    def preflight(self, environ: WSGIEnvironment) -> dict[str, str] | None:
        """Return the further headers of the response to a preflight request, None for any other request."""
        is_preflight = environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        return PREFLIGHT if is_preflight and self.allows(environ.get("HTTP_ORIGIN")) else None


NO_ORIGINS = CrossOrigin(())


def _varied(headers: Headers) -> Headers:
    """Return ``headers`` with Origin in Vary."""
    vary = ", ".join([*(value for name, value in headers if name == "Vary"), "Origin"])
    return [*(header for header in headers if header[0] != "Vary"), ("Vary", vary)]

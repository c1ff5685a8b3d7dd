"""Flask's hooks outside of operations: the first check of every request, OPTIONS, and unknown paths."""

from __future__ import annotations

from flask import Flask, request

from app.errors import BadRequest
from app.http import errors
from app.http.answer import Answer, Response, to_response
from app.request_context import current_request


def install(app: Flask) -> None:
    """Install the hooks."""

    @app.before_request
    def begin() -> Response | None:
        """Check the Host header, and answer OPTIONS without a key; any other method goes on to its operation."""
        current_request().route = str(request.url_rule) if request.url_rule else None
        _check_host()
        if request.method != "OPTIONS" or request.url_rule is None:
            return None
        adapter = app.create_url_adapter(request)
        assert adapter is not None
        return to_response(Answer(b"", 204, {"Allow": ", ".join(sorted(adapter.allowed_methods()))}))

    @app.errorhandler(Exception)
    def refuse(error: Exception) -> Response:
        """Answer a request that no operation takes."""
        return to_response(errors.answer(errors.translate(error)))


def _check_host() -> None:
    """Raise BadRequest for an unusable Host: links made from it would lead nowhere (RFC 9112, section 3.2)."""
    is_named = "HTTP_HOST" in request.environ or request.environ.get("SERVER_PROTOCOL") != "HTTP/1.1"
    if not (is_named and request.host):
        raise BadRequest("The Host header does not name a host.")

"""Gives every request its id and its deadline, and leaves one line of log behind it, whatever happened inside."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from flask import Flask, g, request

from app.errors import BadRequest, Unavailable
from app.http.errors import HEADERS, body
from app.request_context import STARTED, current_request_id, request_context

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("dreamscript.access")

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
FACTS = "dreamscript.facts"


class RequestScope:
    """A WSGI layer around ``wrapped`` that sets X-Request-ID, bounds the time and writes the access log."""

    def __init__(self, wrapped: WSGIApplication, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._wrapped, self._seconds, self._clock = wrapped, seconds, clock

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        started = environ.get(STARTED) or self._clock()
        request_id = choose_request_id(environ.get("HTTP_X_REQUEST_ID"))
        facts: dict[str, object] = {
            "method": environ["REQUEST_METHOD"],
            "request_id": request_id,
            "status": 500,
        }
        environ[FACTS] = facts
        # An empty path is the root (RFC 9110, section 4.2.3), and not a redirect to it.
        environ["PATH_INFO"] = environ.get("PATH_INFO") or "/"

        def start(status: str, headers: list[tuple[str, str]], *exc_info: object) -> Callable[[bytes], object]:
            facts["status"] = int(status.split(" ", 1)[0])
            return start_response(status, [*headers, ("X-Request-ID", request_id)], *exc_info)  # type: ignore[arg-type]

        left = started + self._seconds - self._clock()
        try:
            with request_context(request_id=request_id, seconds=left):
                return self._wrapped(environ, start) if left > 0 else too_late(start)
        finally:
            log_request(facts, started, self._clock())


def log_request(facts: Mapping[str, object], started: float, ended: float) -> None:
    """Write a request's line of the access log; the moments are seconds."""
    if log.isEnabledFor(logging.INFO):
        # The logger itself would look for the place in the code, which is always this one.
        record = logging.LogRecord(log.name, logging.INFO, __file__, 0, "request", None, None)
        record.__dict__.update(facts, duration_ms=round((ended - started) * 1000, 2))
        log.handle(record)


def too_late(start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer what nobody had time for; not even the router is asked."""
    error = Unavailable("The service is busy; try again later.")
    content = json.dumps(body(error, current_request_id())).encode()
    headers = {"Cache-Control": "no-store", "Content-Type": "application/json", "Content-Length": str(len(content))}
    start_response("503 Service Unavailable", list({**headers, **HEADERS[error.code]}.items()))
    return [content]


def choose_request_id(offered: str | None) -> str:
    """Return the client's own id for the request if it can be logged and sent on as it is, else a new one."""
    return offered if offered and REQUEST_ID.fullmatch(offered) else secrets.token_hex(16)


def install(app: Flask, seconds: float) -> None:
    """Put the layer around ``app`` and let the routing and the key fill in what the log line says."""
    app.wsgi_app = RequestScope(app.wsgi_app, seconds)  # type: ignore[method-assign]

    @app.before_request
    def require_host() -> None:
        """A URL made of an unusable Host would lead nowhere, or somewhere else (RFC 9112, section 3.2)."""
        named = "HTTP_HOST" in request.environ or request.environ.get("SERVER_PROTOCOL") != "HTTP/1.1"
        if not (named and request.host):
            raise BadRequest("The Host header does not name a host.")

    @app.teardown_request
    def describe(_: BaseException | None) -> None:
        facts = request.environ[FACTS]
        facts["route"] = str(request.url_rule) if request.url_rule else None
        facts["principal"] = getattr(g.get("access"), "principal", None)

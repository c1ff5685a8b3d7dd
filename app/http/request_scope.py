"""Gives every request its id and its deadline, and writes one line of access log for it, whatever happens inside."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from app.errors import Unavailable
from app.http import errors
from app.request_context import STARTED, RequestContext, request_context

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("dreamscript.access")

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)


class RequestScope:
    """A WSGI layer around ``wrapped`` that sets X-Request-ID, bounds the time and writes the access log."""

    def __init__(self, wrapped: WSGIApplication, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._wrapped, self._seconds, self._clock = wrapped, seconds, clock

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        started = environ.get(STARTED) or self._clock()
        request_id, status = choose_request_id(environ.get("HTTP_X_REQUEST_ID")), 500
        # An empty path is the root (RFC 9110, section 4.2.3), and not a redirect to it.
        environ["PATH_INFO"] = environ.get("PATH_INFO") or "/"

        def start(line: str, headers: list[tuple[str, str]], *exc_info: object) -> Callable[[bytes], object]:
            nonlocal status
            status = int(line.split(" ", 1)[0])
            return start_response(line, [*headers, ("X-Request-ID", request_id)], *exc_info)  # type: ignore[arg-type]

        seconds_left = started + self._seconds - self._clock()
        with request_context(request_id=request_id, seconds=seconds_left) as context:
            try:
                return self._wrapped(environ, start) if seconds_left > 0 else too_late(start)
            finally:
                log_request(context, environ["REQUEST_METHOD"], status, self._clock() - started)


def log_request(context: RequestContext, method: str, status: int, seconds: float) -> None:
    """Write a request's line of the access log."""
    if log.isEnabledFor(logging.INFO):
        # The logger itself would look for the place in the code, which is always this one.
        record = logging.LogRecord(log.name, logging.INFO, __file__, 0, "request", None, None)
        known = {"route": context.route, "principal": context.principal, "cache": context.cache}
        record.__dict__.update({name: value for name, value in known.items() if value is not None})
        record.__dict__.update(method=method, request_id=context.request_id, status=status)
        record.__dict__["duration_ms"] = round(seconds * 1000, 2)
        log.handle(record)


def too_late(start_response: Callable[..., object]) -> Iterable[bytes]:
    """Refuse a request for which no time is left; it does not reach the router."""
    answer = errors.answer(Unavailable("The service is busy; try again later."))
    start_response("503 Service Unavailable", list(answer.headers.items()))
    return [answer.body]


def choose_request_id(offered: str | None) -> str:
    """Return the client's own id for the request if it can be logged and sent on as it is, else a new one."""
    return offered if offered and REQUEST_ID.fullmatch(offered) else secrets.token_hex(16)

"""The rules for every request of any route: id, deadline, record, proxies, host, OPTIONS and ids in paths."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

import flask
from flask import Flask, request
from werkzeug import exceptions
from werkzeug.routing import BaseConverter, ValidationError
from werkzeug.utils import cached_property
from werkzeug.wsgi import get_host

from app.errors import BadRequest, Unavailable
from app.http import errors
from app.http.answers import Answer, Response, to_response, without_coding
from app.http.arguments import REVISION
from app.http.cross_origin import NO_ORIGINS, CrossOrigin
from app.http.methods import allow_headers, starts_with_two_slashes
from app.http.waiting import WAITED_SECONDS, WaitingBody
from app.request_context import (
    STARTED,
    Report,
    RequestContext,
    RequestRecord,
    current_request,
    request_context,
    unreported,
)
from app.urls import HOST, PATH_CHARACTERS, without_default_port

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)


class RequestScope:
    """A WSGI layer around ``wrapped``: it bounds the time, reports each request and adds every response's headers."""

    def __init__(
        self,
        wrapped: WSGIApplication,
        seconds: float,
        report: Report = unreported,
        cross_origin: CrossOrigin = NO_ORIGINS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wrapped, self._seconds, self._report, self._clock = wrapped, seconds, report, clock
        self._cross_origin = cross_origin

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        started = environ.get(STARTED) or self._clock()
        request_id, status, body_bytes = choose_request_id(environ.get("HTTP_X_REQUEST_ID")), 500, 0
        origin = environ.get("HTTP_ORIGIN")
        # An empty path is the root (RFC 9110, section 4.2.3), and not a redirect to it.
        environ["PATH_INFO"] = environ.get("PATH_INFO") or "/"

        def start(line: str, headers: list[tuple[str, str]], *exc_info: object) -> Callable[[bytes], object]:
            nonlocal status, body_bytes
            status, body_bytes = int(line.split(" ", 1)[0]), declared_bytes(headers)
            headers = self._cross_origin.with_headers([*headers, ("X-Request-ID", request_id)], origin)
            return start_response(line, headers, *exc_info)  # type: ignore[arg-type]

        seconds_left = started + self._seconds - self._clock()
        with request_context(request_id=request_id, seconds=seconds_left) as context:
            parts: Iterable[bytes] = ()
            try:
                parts = self._wrapped(environ, start) if seconds_left > 0 else too_late(start)
                return parts
            finally:
                seconds = self._clock() - started
                finished = record(context, environ, status=status, seconds=seconds, body_bytes=body_bytes)
                if isinstance(parts, WaitingBody):
                    self._report_later(parts, finished)
                else:
                    self._report(finished)

    def _report_later(self, body: WaitingBody, finished: RequestRecord) -> None:
        """Report a client that waits when it has its answer."""

        def report(waited_seconds: float, body_bytes: int) -> None:
            waited_seconds += finished.waited_seconds
            self._report(finished._replace(waited_seconds=waited_seconds, body_bytes=body_bytes))

        body.request_id, body.report = finished.request_id, report


def declared_bytes(headers: Iterable[tuple[str, str]]) -> int:
    """Return the Content-Length of a response, 0 if it has none."""
    return next((int(value) for name, value in headers if name == "Content-Length"), 0)


def record(
    context: RequestContext, environ: WSGIEnvironment, *, status: int, seconds: float, body_bytes: int
) -> RequestRecord:
    """Return the record of a request that Flask has answered."""
    return RequestRecord(
        environ["REQUEST_METHOD"],
        context.route,
        environ["PATH_INFO"],
        environ.get("QUERY_STRING", ""),
        status,
        seconds,
        0 if environ["REQUEST_METHOD"] == "HEAD" else body_bytes,
        context.request_id,
        environ.get("REMOTE_ADDR", ""),
        context.principal,
        context.key_id,
        is_cached=False,
        waited_seconds=environ.get(WAITED_SECONDS, 0.0),
    )


def too_late(start_response: Callable[..., object]) -> Iterable[bytes]:
    """Refuse a request for which no time is left; it does not reach the router."""
    answer = errors.answer(Unavailable("The service is busy; try again later."))
    start_response("503 Service Unavailable", list(answer.headers.items()))
    return [answer.body]


def choose_request_id(offered: str | None) -> str:
    """Return the client's own id for the request if it can be logged and sent on as it is, else a new one."""
    return offered if offered and REQUEST_ID.fullmatch(offered) else secrets.token_hex(16)


class Request(flask.Request):
    """A request whose URLs are URIs, where Werkzeug's are IRIs: a header cannot hold any other host."""

    @cached_property
    def host(self) -> str:
        """The host and, unless it is the default, the port; empty if the Host header is not legal."""
        if "Host" not in self.headers:
            return get_host(self.environ)
        host = self.headers["Host"]
        if not HOST.fullmatch(host):
            return ""
        return without_default_port(host, self.scheme)

    @cached_property
    def root_url(self) -> str:
        """The URL of the application's root."""
        return f"{self.scheme}://{self.host}{quote(self.root_path.rstrip('/'), PATH_CHARACTERS)}/"

    @cached_property
    def base_url(self) -> str:
        """The URL of this request without its query."""
        return self.root_url + quote(self.path.lstrip("/"))


class IdConverter(BaseConverter):
    """The `<id:…>` part of a rule. A path that does not match is a 404."""

    regex = "[1-9][0-9]{0,15}"

    def to_python(self, value: str) -> int:
        """Return the id."""
        return int(value)


class RevisionConverter(BaseConverter):
    """The `<revision:…>` part of a rule, an item's tag without its quotes. A path that does not match is a 404.

    The tag may be as a proxy has rewritten it, with the suffix of a coding.
    """

    regex = f"{REVISION.pattern}[^/]{{0,30}}"

    def to_python(self, value: str) -> str:
        """Return the revision. Raises ValidationError for anything else after it."""
        revision = without_coding(value)
        if not REVISION.fullmatch(revision):
            raise ValidationError
        return revision


def install_hooks(app: Flask, cross_origin: CrossOrigin) -> None:
    """Install Flask's hooks outside of operations: the first check of every request, OPTIONS, and unknown paths."""

    @app.before_request
    def begin() -> Response | None:
        """Check the Host header, and answer OPTIONS without a key; any other method goes on to its operation.

        A preflight of an unknown path succeeds, so that a page can read the 404 that its request gets.
        """
        if starts_with_two_slashes(request.environ):
            request.url_rule, request.routing_exception = None, exceptions.NotFound()
        current_request().route = str(request.url_rule) if request.url_rule else None
        _check_host()
        preflight = cross_origin.preflight(request.environ)
        if request.method != "OPTIONS" or (request.url_rule is None and preflight is None):
            return None
        return to_response(Answer(b"", 204, allow_headers() if request.url_rule else {}), preflight)

    @app.errorhandler(Exception)
    def refuse(error: Exception) -> Response:
        """Answer a request that no operation takes."""
        return to_response(errors.answer(errors.translate(error)))


def _check_host() -> None:
    """Raise BadRequest for an unusable Host: links made from it would lead nowhere (RFC 9112, section 3.2)."""
    is_named = "HTTP_HOST" in request.environ or request.environ.get("SERVER_PROTOCOL") != "HTTP/1.1"
    if not (is_named and request.host):
        raise BadRequest("The Host header does not name a host.")

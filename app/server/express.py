"""Answers hot reads as soon as their headers are there, without a task, a thread or an environment for each.

It takes only the plainest of requests, and of these only what the short path answers. All else goes the usual way, and
nothing is ever refused here.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from gunicorn.asgi import protocol

from app.cache.response_cache import CachedResponse
from app.server.environ import variable

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

TARGET = re.compile(rb"(/[a-z]+(?:/[0-9a-z]+)*)(?:\?([A-Za-z0-9_.~=&,%-]*))?")
# Headers that say something of the connection or of a body.
UNUSUAL = frozenset({b"content-length", b"expect", b"te", b"trailer", b"transfer-encoding", b"upgrade"})


class Express(protocol.ASGIProtocol):  # type: ignore[misc]
    """A connection whose application may have a hook ``quick``, which is asked before a request becomes one."""

    # Whether the request that has just been read is answered already, and when there was one last.
    _was_quick = False
    _quick_at = 0.0

    def _on_headers_complete(self) -> bool:
        answer = self._express()
        if answer is None:
            return bool(super()._on_headers_complete())
        self._was_quick, self._quick_at = True, self.worker.loop.time()
        self.transport.write(written(answer))
        return False

    def _feed_callback_parser(self, data: bytes) -> bool:
        """Read on, also what was sent behind a request that is answered already; return whether to go on."""
        goes_on: bool = super()._feed_callback_parser(data)
        while goes_on and self._was_quick and self._callback_parser.is_complete:
            self._was_quick = False
            rest = self._callback_parser.remaining()
            self._callback_parser.reset()
            if rest:
                goes_on = super()._feed_callback_parser(rest)
        return goes_on

    def _keepalive_timeout(self) -> None:
        """Close the connection if it was idle for so long; an answer does not set the timer anew."""
        left = self._quick_at + self._keepalive - self.worker.loop.time()
        if left > 0 and self._may_go_on():
            self._keepalive_handle = self.worker.loop.call_later(left, self._keepalive_timeout)
        else:
            super()._keepalive_timeout()

    def _may_go_on(self) -> bool:
        """Tell whether a next request can be answered on this connection."""
        return bool(self.worker.alive)

    def _express(self) -> CachedResponse | None:
        """Return the answer to the request whose headers were read, if there is a short way to it."""
        parser, quick = self._callback_parser, self.app.quick
        if (
            quick is None
            or parser.method != b"GET"
            or parser.http_version != (1, 1)
            # Another request is being answered, or what was answered is not read.
            or not self._awaiting_request
            or self._flow_control.write_paused
            or not self._may_go_on()
        ):
            return None
        environ = environ_of(parser)
        found: CachedResponse | None = None if environ is None else quick(environ)
        return found


def environ_of(parser: Any) -> WSGIEnvironment | None:
    """Return as much of a WSGI environment as the short path looks at, None for what is not plain."""
    target = TARGET.fullmatch(parser.path)
    headers = getattr(parser, "asgi_headers", None) or parser.headers
    if target is None or headers is None:
        return None
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": target[1].decode(),
        "QUERY_STRING": (target[2] or b"").decode(),
        "wsgi.url_scheme": "http",
    }
    for header, content in headers:
        name = variable(header)
        if header in UNUSUAL or b"_" in header or name in environ:
            return None
        if header == b"connection" and content.lower() != b"keep-alive":
            return None
        environ[name] = content.decode("latin-1")
    return environ


def written(answer: CachedResponse) -> bytes:
    """Return the bytes of an answer, as gunicorn would send them."""
    status = protocol._get_cached_status_line((1, 1), answer.status, HTTPStatus(answer.status).phrase)
    headers = "".join([f"{name}: {value}\r\n" for name, value in answer.headers]).encode("latin-1")
    date = protocol._get_cached_date_header()
    return b"".join((status, headers, protocol._CACHED_SERVER_HEADER, date, b"\r\n", answer.body))

"""Flask, without the steps of each request that this service has no use for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
from flask.sessions import NullSession, SessionInterface, SessionMixin
from werkzeug.routing import MapAdapter

from app.http.request_scope import Request


class NoSessions(SessionInterface):
    """Cookies carry nothing here."""

    def __init__(self) -> None:
        self._session = NullSession()

    def open_session(self, app: flask.Flask, request: flask.Request) -> NullSession:  # noqa: ARG002
        """Return an empty session, which cannot be changed."""
        return self._session

    def save_session(self, app: flask.Flask, session: SessionMixin, response: flask.Response) -> None:
        """Save nothing."""


class FlaskApp(flask.Flask):
    """The Flask application behind all routes."""

    request_class = Request
    session_interface = NoSessions()

    def create_url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
        """Return the adapter that matches a request's path; hosts are checked elsewhere and play no part in it."""
        if request is None:
            return None
        environ = request.environ
        # As WSGI has it (PEP 3333): the bytes of UTF-8, each as a character.
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        return MapAdapter(
            self.url_map,
            server_name="",
            script_name=environ.get("SCRIPT_NAME", ""),
            subdomain="",
            url_scheme=environ["wsgi.url_scheme"],
            path_info=path,
            default_method=environ["REQUEST_METHOD"],
        )

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``func``: no function here is a coroutine."""
        return func

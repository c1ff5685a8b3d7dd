"""Decides from a request's headers alone how much of its body is worth taking in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request

from app.errors import NotFound, ServiceError, Unavailable
from app.http.arguments import check_declared
from app.http.credentials import key_text
from app.http.methods import starts_with_two_slashes
from app.http.operations import Blueprint, Operation
from app.services import Services

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


# The body of a GET or OPTIONS changes nothing. A small one is read, so that the connection can be used again.
UNUSED_BODY_BYTES = 65_536


class Precheck:
    """Refuse bodies that cannot change the response: 401, 403, 404, 405, 413 and 415 need none."""

    def __init__(self, app: Flask, services: Services) -> None:
        self._app, self._services = app, services

    def body_limit(self, environ: WSGIEnvironment) -> int:
        """Return how many bytes of the body to read at most; 0 if the headers decide the response.

        This may ask the database for the key. The response itself, with the refusal, is always made by the application.
        Keep the checks in step with ``operations.handle``.
        """
        request, limit = Request(environ, populate_request=False), self._services.settings.max_body_bytes
        try:
            operation = self._operation(environ)
            if operation is not None and operation.body is not None:
                check_declared(request)
                limit *= operation.body_factor
            elif operation is not None and operation.method in ("POST", "COPY"):
                if request.content_length:
                    check_declared(request)
            else:
                limit = min(limit, UNUSED_BODY_BYTES)
            if (request.content_length or 0) > limit:
                return 0
            if operation is not None and operation.scope is not None:
                self._services.authenticator.authenticate(key_text(environ)).require(
                    operation.scope, *operation.other_scopes
                )
        except Unavailable:
            # The application asks again, and may get an answer then.
            return limit
        except (HTTPException, ServiceError):
            return 0
        return limit

    def _operation(self, environ: WSGIEnvironment) -> Operation | None:
        """Return the operation of a request, None for OPTIONS (no key). Raises NotFound or MethodNotAllowed."""
        if starts_with_two_slashes(environ):
            raise NotFound
        endpoint, _ = self._app.url_map.bind_to_environ(environ).match()
        if environ["REQUEST_METHOD"] == "OPTIONS":
            return None
        blueprint_name, _, name = endpoint.partition(".")
        blueprint = self._app.blueprints.get(blueprint_name)
        return blueprint.operations.get(name) if isinstance(blueprint, Blueprint) else None

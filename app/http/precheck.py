"""Decides from a request's headers alone how much of its body is worth taking in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request

from app.errors import ServiceError, Unavailable
from app.http import media
from app.http.blueprint import Blueprint, Requirements
from app.wiring import Services

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

NO_REQUIREMENTS = Requirements()


class Precheck:
    """Refuse bodies that cannot change the response: 401, 403, 404, 405, 413 and 415 need none."""

    def __init__(self, app: Flask, services: Services) -> None:
        self._app, self._services = app, services

    def body_limit(self, environ: WSGIEnvironment) -> int:
        """Return how many bytes of the body to read at most; 0 if the headers decide the response.

        This may ask the database for the key. The response itself, with the refusal, is always made by the application.
        """
        request = Request(environ, populate_request=False)
        try:
            requirements = self._requirements(environ)
            if requirements.reads_json:
                media.check_declared(request)
            limit = requirements.max_bytes or self._services.settings.max_body_bytes
            if (request.content_length or 0) > limit:
                return 0
            if requirements.scope is not None:
                key = request.headers.get("X-API-Key")
                self._services.authenticator.authenticate(key).require(requirements.scope)
        except Unavailable:
            # The application asks again, and may get an answer then.
            return limit
        except (HTTPException, ServiceError):
            return 0
        return limit

    def _requirements(self, environ: WSGIEnvironment) -> Requirements:
        """Return what the operation demands. Raises NotFound or MethodNotAllowed."""
        endpoint, _ = self._app.url_map.bind_to_environ(environ).match()
        blueprint = self._app.blueprints.get(endpoint.partition(".")[0])
        if isinstance(blueprint, Blueprint):
            return blueprint.requirements.get(endpoint.partition(".")[2], NO_REQUIREMENTS)
        return NO_REQUIREMENTS

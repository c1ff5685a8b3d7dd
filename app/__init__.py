"""The REST API over CouchDB: create_app wires it, read from top to bottom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Flask

from app.api import reference
from app.cache.response_cache import ResponseCache
from app.http.cross_origin import CrossOrigin
from app.http.flask_app import FlaskApp
from app.http.proxies import behind_proxies
from app.http.request_scope import IdConverter, RequestScope, RevisionConverter, install_hooks
from app.request_context import Report, unreported
from app.services import Services, Shared
from app.settings import Settings
from app.wiring import build_services

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


@dataclass(frozen=True)
class Application:
    """The service as a server runs it: a WSGI application (PEP 3333) with a cache in front.

    A server with an event loop asks ``response_cache.lookup`` there, if the cache ``is_immediate``, and runs
    ``wsgi_app`` in a thread for other requests. Any other server calls the application itself, which does both.
    Call ``close`` at the end.
    """

    flask: Flask
    wsgi_app: WSGIApplication
    response_cache: ResponseCache
    services: Services

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request from the cache, else by ``wsgi_app``."""
        hit = self.response_cache.lookup(environ)
        if hit is None:
            return self.wsgi_app(environ, start_response)
        start_response(f"{hit.status} {HTTPStatus(hit.status).phrase}", hit.headers)
        return [hit.body]

    def close(self) -> None:
        """Write pending last uses of keys and close the connections to the database."""
        self.services.close()


def create_app(settings: Settings, shared: Shared | None = None, report: Report = unreported) -> Application:
    """Return the application of one process. ``shared`` is the memory it shares with other processes, if any.

    It opens no connection until the first request. ``report`` receives the record of each finished request.
    """
    flask = FlaskApp(__name__, static_folder=None)
    # Do not redirect `//documents` to `/documents`.
    flask.url_map.merge_slashes = False
    flask.url_map.converters |= {"id": IdConverter, "revision": RevisionConverter}
    cross_origin = CrossOrigin(settings.cors_origins)
    install_hooks(flask, cross_origin)

    services = build_services(settings, shared=shared, report=report)
    for module in (*reference.MODULES, reference):
        flask.register_blueprint(module.blueprint(services))

    scope = RequestScope(flask.wsgi_app, settings.deadline, services.report, cross_origin)
    wsgi_app = behind_proxies(settings.trusted_proxies, settings.public_url, scope)
    return Application(flask, wsgi_app, services.response_cache, services)

"""The REST API over CouchDB: create_app wires it, read from top to bottom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask

from app.api import documents, health, keys, metrics, projects, reference, root
from app.api.openapi import Api
from app.cache.response_cache import ResponseCache
from app.http import errors, proxies, rate_limits, request_scope
from app.http import options_method as options
from app.http.hosts import Request
from app.settings import Settings
from app.wiring import Services, Shared

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


@dataclass(frozen=True)
class Application:
    """The service as a server runs it: a WSGI application (PEP 3333) with a cache in front.

    A server with an event loop asks ``response_cache.lookup`` there, if the cache ``is_immediate``, and runs
    ``wsgi_app`` in a thread for what is not cached. Any other server calls the application itself, which does both.
    Call ``close`` at the end.
    """

    flask: Flask
    wsgi_app: WSGIApplication
    response_cache: ResponseCache
    services: Services

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request from the cache, else by ``wsgi_app``."""
        return self.flask.wsgi_app(environ, start_response)

    def close(self) -> None:
        """Write pending last uses of keys and close the connections to the database."""
        self.services.close()


def create_app(settings: Settings, shared: Shared | None = None) -> Application:
    """Return the application of one process. ``shared`` is the memory it shares with other processes, if any.

    It opens no connection until the first request.
    """
    app = Flask(__name__, static_folder=None)
    app.request_class = Request
    # A body that does not tell its length is cut off here, so the first byte too many must still be read.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes + 1
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    # A path is what it says: `//documents` is not a redirect to `/documents` but a 404.
    app.url_map.merge_slashes = False

    errors.install(app)
    options.install(app)
    rate_limits.install(app)

    services = Services.build(settings, shared=shared)
    api = Api(app)
    api.register_blueprint(documents.blueprint(services))
    api.register_blueprint(projects.blueprint(services))
    api.register_blueprint(keys.blueprint(services))
    api.register_blueprint(root.blueprint(services))
    api.register_blueprint(health.blueprint(services))
    api.register_blueprint(metrics.blueprint(services))
    api.register_blueprint(reference.blueprint(api.document))

    request_scope.install(app, settings.deadline)
    cache = ResponseCache(app.wsgi_app, services)
    app.wsgi_app = proxies.trusting(settings.trusted_proxies, cache)  # type: ignore[method-assign]
    miss = cache.learn if cache.is_immediate else cache
    return Application(app, proxies.trusting(settings.trusted_proxies, miss), cache, services)

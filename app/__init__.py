"""The REST API over CouchDB. create_app is the only wiring: read it from top to bottom."""

from __future__ import annotations

from flask import Flask

from app.api import documents, health, keys, metrics, projects, reference, root
from app.api.openapi import Api
from app.cache.layer import ShortPath
from app.http import errors, proxies, rate_limits, request_scope
from app.http import options_method as options
from app.settings import Settings
from app.wiring import Services, Shared


def create_app(settings: Settings, shared: Shared | None = None) -> Flask:
    """Return the WSGI application, with what its process has in common with others, if there are others.

    It opens no connection until the first request.
    """
    app = Flask(__name__, static_folder=None)
    # A body that does not tell its length is cut off here, so the first byte too many must still be read.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes + 1
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    # A path is what it says: `//documents` is not a redirect to `/documents` but a 404.
    app.url_map.merge_slashes = False

    errors.install(app)
    options.install(app)
    rate_limits.install(app)

    services = app.extensions["dreamscript"] = Services.build(settings, shared=shared)
    api = Api(app)
    api.register_blueprint(documents.blueprint(services))
    api.register_blueprint(projects.blueprint(services))
    api.register_blueprint(keys.blueprint(services))
    api.register_blueprint(root.blueprint(services))
    api.register_blueprint(health.blueprint(services))
    api.register_blueprint(metrics.blueprint(services))
    api.register_blueprint(reference.blueprint(api.document))

    request_scope.install(app, settings.deadline)
    short_path = app.extensions["short_path"] = ShortPath(app.wsgi_app, services)
    app.wsgi_app = proxies.trusting(settings.trusted_proxies, short_path)  # type: ignore[method-assign]
    return app

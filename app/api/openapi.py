"""The OpenAPI document: made by flask-smorest from the declared operations, with this service's own error shape."""

from __future__ import annotations

from typing import Any

import flask_smorest
from flask import Flask

from app.http.identifiers import IdConverter, describe
from app.schemas.errors import ErrorSchema
from app.schemas.values import IdentifierList
from app.version import VERSION


class Api(flask_smorest.Api):  # type: ignore[misc]
    """Collects the blueprints' operations. Its error handlers and documentation pages are not used."""

    ERROR_SCHEMA = ErrorSchema

    def __init__(self, app: Flask) -> None:
        app.config.update(API_TITLE="Dreamscript Database", API_VERSION=VERSION, OPENAPI_VERSION="3.1.0")
        app.url_map.converters["id"] = IdConverter
        super().__init__(app)
        self.register_converter(IdConverter, describe)
        self.register_field(IdentifierList, "string", None)
        scheme = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
        self.spec.components.security_scheme("ApiKey", scheme)

    def _register_error_handlers(self) -> None:
        """Leave errors to app.http.errors."""

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        found: dict[str, Any] = self.spec.to_dict()
        return found

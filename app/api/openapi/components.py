"""The parts of the OpenAPI document that operations share: headers, parameters, error responses."""

from __future__ import annotations

from typing import Any

from apispec import APISpec

from app.api.openapi.headers import ERROR_HEADERS, REQUEST_HEADERS, RESPONSE_HEADERS
from app.errors import ERRORS, Fault, ServiceError, ValidationFailed
from app.http import errors
from app.http.answers import JSON
from app.schemas.errors import ErrorSchema

STATUSES = sorted({error.status for error in ERRORS})


def add_components(spec: APISpec) -> None:
    """Describe once each header, parameter and error response; operations refer to them by name."""
    scheme = {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key of this service, which begins with `ds_`.",
    }
    spec.components.security_scheme("ApiKey", scheme)
    bearer = {
        "type": "http",
        "scheme": "bearer",
        "description": "The same key as a bearer token (RFC 6750), in place of `X-API-Key`. Both at once are refused.",
    }
    spec.components.security_scheme("Bearer", bearer)
    for name, header in RESPONSE_HEADERS.items():
        spec.components.header(name, header)
    for name, parameter in REQUEST_HEADERS.items():
        spec.components.parameter(name, "header", parameter)
    spec.components.schema("Error", schema=ErrorSchema)
    for status in STATUSES:
        spec.components.response(response_name(status), error_response(status), lazy=True)


def response_name(status: int) -> str:
    """Return the name of the error response for ``status``: that of its first code, such as ``TooLarge`` for 413."""
    code = next(error.code for error in ERRORS if error.status == status)
    return code.title().replace("_", "")


def error_response(status: int) -> dict[str, Any]:
    """Return the OpenAPI response for all codes that share ``status``."""
    kinds = [error for error in ERRORS if error.status == status]
    own = {name for error in kinds for name in error.default_headers}
    names = sorted(own.union(*(headers for headers, statuses in ERROR_HEADERS if status in statuses)))
    content = {"schema": "Error", "examples": {error.code: {"value": example(error)} for error in kinds}}
    return {
        "description": "\n".join(f"- `{error.code}`: {error.reason}" for error in kinds),
        "headers": {name: name for name in names},
        "content": {JSON: content},
    }


def example(error: type[ServiceError]) -> dict[str, object]:
    """Return the body of an answer that reports ``error``."""
    request_id = "0f3b7c1e5a9d4c26b8e2d47f91a6035c"
    faults = (Fault("body.title", "Missing data for required field."),) if error is ValidationFailed else ()
    return errors.body(error(faults=faults), request_id)

"""The parts of the OpenAPI document that operations share: headers, parameters, error responses."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from apispec import APISpec

from app.errors import ERRORS, Fault, ServiceError, ValidationFailed
from app.http import errors
from app.http.answers import JSON
from app.schemas.errors import ErrorSchema

# The headers of every counted answer.
RATE_LIMITS = ("RateLimit-Policy", "RateLimit")
TEXT = {"type": "string"}


def _header(description: str, *, always: bool = True) -> dict[str, Any]:
    return {"description": description, "required": always, "schema": TEXT}


ANSWER_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": _header("The request's id, which the service's log has too."),
    "ETag": _header("Changes if and only if the answer does. Send it back as `If-None-Match` or `If-Match`."),
    "Cache-Control": _header("Who may store the answer; `no-cache` means: check the tag before each use (RFC 9111)."),
    "Vary": _header("Answers differ from key to key."),
    "Location": _header("The absolute URL of the new item."),
    "x-next": _header("The absolute URL of the next page; absent on the last.", always=False),
    "Link": _header("The next page as `rel=next` (RFC 8288).", always=False),
    "WWW-Authenticate": _header("How to authenticate (RFC 9110, section 11.6.1)."),
    "Retry-After": _header("Seconds to wait before a retry, where a retry can help.", always=False),
    "RateLimit-Policy": _header("The limit: `q` requests in any `w` seconds.", always=False),
    "RateLimit": _header("The requests left, `r`, and the seconds until there is one more, `t`.", always=False),
}

REQUEST_HEADERS = {
    "If-None-Match": "Entity tags that the client has; the answer is an empty 304 if one of them is current.",
    "If-Match": "Entity tags, one of which must be current; otherwise the answer is 412.",
    "Idempotency-Key": "The client's key for the request: 1 to 255 visible ASCII characters, bare or quoted.",
    "X-Request-ID": "The client's id for the request: 1 to 128 of `A-Z a-z 0-9 . _ -`. It is generated if missing.",
}


def add_components(spec: APISpec) -> None:
    """Describe once each header, parameter and error response; operations refer to them by name."""
    scheme = {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key of this service."}
    spec.components.security_scheme("ApiKey", scheme)
    bearer = {"type": "http", "scheme": "bearer", "description": "The same key as a bearer token (RFC 6750)."}
    spec.components.security_scheme("Bearer", bearer)
    for name, header in ANSWER_HEADERS.items():
        spec.components.header(name, header)
    for name, description in REQUEST_HEADERS.items():
        spec.components.parameter(name, "header", {"description": description, "schema": TEXT})
    spec.components.schema("Error", schema=ErrorSchema)
    for status in sorted({error.status for error in ERRORS}):
        spec.components.response(HTTPStatus(status).name, error_response(status), lazy=True)


def error_response(status: int) -> dict[str, Any]:
    """Return the OpenAPI response for all codes that share ``status``."""
    kinds = [error for error in ERRORS if error.status == status]
    own = {name for error in kinds for name in error.default_headers}
    names = ("X-Request-ID", "Cache-Control", *RATE_LIMITS, *sorted(own))
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

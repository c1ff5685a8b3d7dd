"""The one place where exceptions become answers: CouchDB's own shape, from everything."""

from __future__ import annotations

import logging
from http import HTTPStatus

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from app import errors
from app.errors import ServiceError
from app.request_context import current_request_id

log = logging.getLogger("dreamscript.http")

STATUS: dict[str, int] = {
    "bad_request": 400,
    "invalid_json": 400,
    "validation_failed": 400,
    "invalid_cursor": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "conflict": 409,
    "project_not_empty": 409,
    "outcome_unknown": 409,
    "idempotency_in_progress": 409,
    "precondition_failed": 412,
    "too_large": 413,
    "bad_content_type": 415,
    "idempotency_mismatch": 422,
    "too_many_requests": 429,
    "internal_server_error": 500,
    "unavailable": 503,
}

# Headers that belong to a status: RFC 9110, sections 11.6.1 and 10.2.3, and RFC 6585, section 4.
HEADERS: dict[str, dict[str, str]] = {
    "unauthorized": {"WWW-Authenticate": 'ApiKey realm="dreamscript", header="X-API-Key"'},
    "idempotency_in_progress": {"Retry-After": "1"},
    "too_many_requests": {"Retry-After": "1"},
    "unavailable": {"Retry-After": "1"},
}


def answer(error: ServiceError) -> Response:
    """Return the response that tells a client of ``error``."""
    response = jsonify(body(error, current_request_id()))
    response.status_code = STATUS[error.code]
    response.headers.update({"Cache-Control": "no-store", **HEADERS.get(error.code, {}), **error.headers})
    return response


def body(error: ServiceError, request_id: str | None) -> dict[str, object]:
    """Return what a client gets to read of ``error``."""
    found: dict[str, object] = {"error": error.code, "reason": error.reason, "request_id": request_id}
    if STATUS[error.code] == HTTPStatus.BAD_REQUEST:
        found["errors"] = [{"location": fault.location, "reason": fault.reason} for fault in error.faults]
    return found


def translate(error: HTTPException) -> ServiceError:
    """Return what the framework's own ``error`` is called in the contract. No text of it is passed on."""
    match error:
        case NotFound():
            return errors.NotFound("There is nothing at this path.")
        case MethodNotAllowed():
            allowed = ",".join(sorted(error.valid_methods or ()))
            return errors.MethodNotAllowed(f"Only {allowed} allowed.", headers={"Allow": allowed.replace(",", ", ")})
        case RequestEntityTooLarge():
            return errors.TooLarge()
        case _ if error.code is not None and 400 <= error.code < 500:
            return errors.BadRequest()
        case _:
            return ServiceError()


def install(app: Flask) -> None:
    """Let every failure of ``app`` be answered in the one shape."""

    @app.errorhandler(ServiceError)
    def service_error(error: ServiceError) -> Response:
        return answer(error)

    @app.errorhandler(HTTPException)
    def http_exception(error: HTTPException) -> Response:
        return answer(translate(error))

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.error("unexpected failure in %s %s", request.method, request.url_rule, exc_info=error)
        return answer(ServiceError())

"""Turns exceptions into answers in CouchDB's error shape; responses.py does it for requests that never reach Flask."""

from __future__ import annotations

import logging
from http import HTTPStatus

from werkzeug import exceptions
from werkzeug.exceptions import HTTPException

from app import errors
from app.errors import ServiceError
from app.http.answers import JSON, NO_STORE, Answer, json_line
from app.request_context import current_request, current_request_id

log = logging.getLogger("dreamscript.http")


def answer(error: ServiceError) -> Answer:
    """Return the answer that reports ``error``."""
    content = json_line(body(error, current_request_id()))
    headers = {"Content-Type": JSON, "Content-Length": str(len(content)), **NO_STORE}
    return Answer(content, error.status, {**headers, **error.headers})


def body(error: ServiceError, request_id: str | None) -> dict[str, object]:
    """Return the JSON object that reports ``error`` to a client."""
    content: dict[str, object] = {"error": error.code, "reason": error.reason, "request_id": request_id}
    if error.status == HTTPStatus.BAD_REQUEST:
        content["errors"] = [{"location": fault.location, "reason": fault.reason} for fault in error.faults]
    return content


def translate(error: Exception) -> ServiceError:
    """Return the error of the contract for any exception; log an unexpected one.

    No text of the framework's own errors is passed on.
    """
    match error:
        case ServiceError():
            return error
        case exceptions.NotFound():
            return errors.NotFound("There is nothing at this path.")
        case exceptions.MethodNotAllowed():
            allowed = sorted(error.valid_methods or ())
            reason = f"This path allows {', '.join(allowed)}."
            return errors.MethodNotAllowed(reason, headers={"Allow": ", ".join(allowed)})
        case exceptions.RequestEntityTooLarge():
            return errors.TooLarge()
        case HTTPException() if error.code is not None and 400 <= error.code < 500:
            return errors.BadRequest()
        case HTTPException():
            return ServiceError()
        case _:
            context = current_request()
            facts = {"request_id": context.request_id}
            log.error("unexpected failure in %s", context.route, exc_info=error, extra=facts)
            return ServiceError()

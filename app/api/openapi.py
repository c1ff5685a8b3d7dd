"""The OpenAPI document: made by flask-smorest from the declared operations, with this service's own error shape."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import flask_smorest
from flask import Flask

from app.errors import ERRORS, Fault, ServiceError, ValidationFailed
from app.http import errors
from app.http.blueprint import STAND_IN
from app.http.identifiers import IdConverter, describe
from app.http.openapi_headers import ANSWER_HEADERS, REQUEST_HEADERS
from app.http.rate_limits import HEADERS as RATE_LIMITS
from app.schemas.errors import ErrorSchema
from app.schemas.values import IdentifierList
from app.version import VERSION

DESCRIPTION = """\
Scripts, notes and assets of the Dreamscript editor: JSON **documents**, alone or in **projects**.

**Keys.** Send one in `X-API-Key`; each operation names the scope that its key needs. Here, *Authorize* takes it.

**Pages.** A listing answers with an array and, while there is more, with the next page's URL in `x-next`: fetch it as
it is. Whatever exists during the whole walk appears exactly once.

**Tags.** Items and pages carry an `ETag`. Send it as `If-None-Match`, and the answer is an empty 304 for as long as
nothing has changed.

**Errors.** All have one shape: `error` is a code for programs, `reason` a sentence for people, `request_id` finds the
request in the log; with 400, `errors` lists what is wrong and where.

**Changes.** Send the tag as `If-Match`, and the change is made only if nobody was faster; else the answer is a 412 with
the current tag. `COPY`, where a path has an `x-copy` here, makes a copy under a new id.

**Repeating.** A POST, PATCH or COPY with an `Idempotency-Key` can be repeated for 24 hours: it is carried out once, and
the first answer comes again with `Idempotency-Replayed: true`.

**Limits.** `RateLimit-Policy` and `RateLimit` say how many requests a key's principal may send, reading and writing
apart, and how many are left. A 304 costs nothing. Beyond that the answer is 429, and `Retry-After` says when to go on.

`HEAD` answers wherever `GET` does; `OPTIONS` lists a path's methods in `Allow`, as does the 405 for all others.
Unknown members, parameters and repetitions are refused, never ignored, and so is a NUL character in a text.
"""


class Api(flask_smorest.Api):  # type: ignore[misc]
    """Collects the blueprints' operations. Its error handlers and documentation pages are not used."""

    DEFAULT_ERROR_RESPONSE_NAME = None  # Every answer is documented by its own status.

    def __init__(self, app: Flask) -> None:
        app.config.update(API_TITLE="Dreamscript Database", API_VERSION=VERSION, OPENAPI_VERSION="3.1.0")
        app.url_map.converters["id"] = IdConverter
        super().__init__(app, spec_kwargs={"info": {"description": DESCRIPTION}})
        self.register_converter(IdConverter, describe)
        self.register_field(IdentifierList, "string", None)
        scheme = {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key of this service."}
        self.spec.components.security_scheme("ApiKey", scheme)

    def _register_error_handlers(self) -> None:
        """Leave errors to app.http.errors."""

    def _register_responses(self) -> None:
        """Describe each status of the contract by its codes; operations refer to them by the status's name."""
        for name, header in ANSWER_HEADERS.items():
            self.spec.components.header(name, header)
        for name, parameter in REQUEST_HEADERS.items():
            self.spec.components.parameter(name, "header", parameter)
        self.spec.components.schema("Error", schema=ErrorSchema)
        for status in sorted(set(errors.STATUS.values())):
            self.spec.components.response(HTTPStatus(status).name, error_response(status), lazy=True)

    def _register_etag_headers(self) -> None:
        """Leave tags to app.http.conditional."""

    def _register_pagination_header(self) -> None:
        """Leave pages to app.http.paging."""

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document. What it has no word for, a COPY, is an extension, `x-copy`."""
        found: dict[str, Any] = self.spec.to_dict()
        for item in found["paths"].values():
            if STAND_IN in item:
                item["x-copy"] = item.pop(STAND_IN)
        return found


def error_response(status: int) -> dict[str, Any]:
    """Return the OpenAPI response for all codes that share ``status``."""
    found = [error for error in ERRORS if errors.STATUS[error.code] == status]
    narrowed: dict[str, Any] = {"properties": {"error": {"enum": [error.code for error in found]}}}
    if status == HTTPStatus.BAD_REQUEST:
        narrowed["required"] = ["errors"]
    content = {
        "schema": {"allOf": [{"$ref": "#/components/schemas/Error"}, narrowed]},
        "examples": {error.code: {"value": example(error)} for error in found},
    }
    own = {name for error in found for name in errors.HEADERS.get(error.code, ())}
    names = ("X-Request-ID", "Cache-Control", *RATE_LIMITS, *own)
    return {
        "description": "\n".join(f"- `{error.code}`: {error.reason}" for error in found),
        "headers": {name: name for name in names},
        "content": {"application/json": content},
    }


def example(error: type[ServiceError]) -> dict[str, object]:
    """Return what a client gets to read of ``error``."""
    request_id = "0f3b7c1e5a9d4c26b8e2d47f91a6035c"
    faults = (Fault("body.title", "Missing data for required field."),) if error is ValidationFailed else ()
    return errors.body(error(faults=faults), request_id)

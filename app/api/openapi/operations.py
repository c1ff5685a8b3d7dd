"""The OpenAPI descriptions of single operations, from their declarations."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from marshmallow import Schema

from app.api.openapi.components import response_name
from app.api.openapi.headers import RATE_LIMITS
from app.domain.access import SCOPES
from app.http.answers import JSON
from app.http.arguments import REQUEST_TYPES
from app.http.operations import Operation
from app.store.items import MAX_ID

# OpenAPI 3.1 has no word for COPY, and allows extensions. apispec resolves references only under methods that it knows,
# so a COPY is described as a method that no operation has, and renamed at the end.
STAND_IN = "trace"
# A parameter in a path, by its converter.
PATH_SCHEMAS: dict[str, dict[str, Any]] = {
    "id": {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID, "examples": [3]},
    "revision": {
        "type": "string",
        "pattern": "^[1-9][0-9]{0,15}-[0-9a-f]{32}$",
        "examples": ["1-5a0c44d1e2b3f4a5968778695a4b3c2d"],
    },
}
PATH_PARAMETER = re.compile(r"<(\w+):(\w+)>")
# The request headers that an operation honours, by the statuses that show it.
HONOURED = {"If-None-Match": {"304", "412"}, "If-Match": {"412"}, "Idempotency-Key": {"422"}}
# The schema of any media type but the first.
TEXT = {"type": "string"}
NOT_MODIFIED = "The client's copy is current. The headers are those of the 200."


def add_operation(spec: APISpec, operation: Operation, tag: str) -> None:
    """Describe an operation under its path."""
    path = PATH_PARAMETER.sub(r"{\2}", operation.rule)
    parameters = [_path_parameter(*match) for match in PATH_PARAMETER.findall(operation.rule)]
    method = STAND_IN if operation.method == "COPY" else operation.method.lower()
    spec.path(path, operations={method: _described(operation, tag)}, parameters=parameters)


def _path_parameter(converter: str, name: str) -> dict[str, Any]:
    is_id = converter == "id"
    description = f"The id of the {name.removesuffix('_id')}." if is_id else "The `etag` without its quotes."
    schema = PATH_SCHEMAS[converter]
    return {"in": "path", "name": name, "required": True, "description": description, "schema": schema}


def _described(operation: Operation, tag: str) -> dict[str, Any]:
    summary, _, more = inspect.cleandoc(operation.view.__doc__ or "").partition("\n\n")
    scope = operation.scope
    scopes = (scope, *operation.other_scopes) if scope else ()
    needs = f"Needs {', or '.join(f'the scope `{each}`: {SCOPES[each]}' for each in scopes) or 'no key'}."
    responses = _responses(operation)
    query = [{"in": "query", "schema": operation.query}] if operation.query is not None else []
    honouring = set(responses) - ({"412"} if operation.refuses_conditions else set())
    honoured = (name for name, statuses in HONOURED.items() if statuses & honouring)
    headers = [*honoured, *operation.request_headers, "X-Request-ID"]
    return {
        "tags": [tag],
        "operationId": operation.view.__name__,
        "summary": summary,
        "description": f"{more}\n\n{needs}".strip(),
        # No alternative: clients of hey-api send a key by all of them, and the API refuses two.
        "security": [{"ApiKey": []}] if scope else [],
        **({"x-scope": scope} if scope else {}),
        **({"x-other-scopes": list(operation.other_scopes)} if operation.other_scopes else {}),
        "parameters": [*query, *headers],
        **({"requestBody": _request_body(operation)} if operation.body is not None else {}),
        "responses": responses,
    }


def _request_body(operation: Operation) -> dict[str, Any]:
    media_type = REQUEST_TYPES.get(operation.method, (JSON,))[-1]
    content = {"schema": operation.body, "example": _example(operation.body)}
    return {"required": True, "content": {media_type: content}}


def _responses(operation: Operation) -> dict[str, Any]:
    counted = RATE_LIMITS if operation.scope and not operation.is_uncounted else ()
    replayed = ("Idempotency-Replayed",) if operation.is_idempotent else ()
    headers = {name: name for name in ("X-Request-ID", *counted, *replayed, *operation.headers)}
    if operation.media_types and "ETag" in headers:
        headers["ETag"] = "ETagOfPoll"
    success: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase, "headers": headers}
    if operation.answer is not None:
        example = _example(operation.answer)
        content = {"schema": operation.answer, **({"example": example} if example else {})}
        others = {each: operation.media_types.get(each, {"schema": TEXT}) for each in operation.other_media_types}
        success["content"] = {operation.media_type: content, **others}
    responses: dict[str, Any] = {str(operation.status): success}
    if operation.method == "GET" and "ETag" in operation.headers:
        responses["304"] = {"description": NOT_MODIFIED, "headers": headers}
    return responses | {str(status): response_name(status) for status in sorted(_error_statuses(operation))}


def _error_statuses(operation: Operation) -> set[int]:
    """Return the statuses of the errors that an operation can answer with."""
    statuses = {400, 406, 500, *operation.also}
    if operation.scope is not None:
        statuses |= {401, 403, 429, 503}
    if operation.is_idempotent:
        statuses |= {409, 422}
    if operation.body is not None:
        statuses |= {413, 415}
    if "<" in operation.rule:
        statuses |= {404}
    if operation.refuses_conditions:
        statuses |= {412}
    return statuses


def _example(shape: Any) -> Any:
    """Return the example of a schema, if it has any: all of its items for a list, else the last."""
    examples: Collection[Any] = getattr(shape, "EXAMPLES", ())
    return list(examples) if isinstance(shape, Schema) and shape.many else next(reversed(list(examples)), None)

"""The way of every request through its operation, from the key to the answer, read from top to bottom."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flask import request
from marshmallow import Schema

from app.domain.access import Access
from app.errors import TooManyRequests, Unauthorized
from app.http import arguments, conditional, errors, idempotent, media
from app.http.answer import Answer, Response, json_line, to_response
from app.http.rate_limits import Quota
from app.request_context import current_request
from app.store.items import WriteId
from app.wiring import Services

if TYPE_CHECKING:
    from app.http.blueprint import Operation


def handle(operation: Operation, services: Services, **path: int) -> Response:
    """Answer the request that Flask has routed to ``operation``. ``path`` holds the ids in its path."""
    quota = Quota(services.limiter)
    try:
        access = authenticate(services, quota) if operation.scope else None
        if access and operation.scope:
            quota.admit(access.principal)
            access.require(operation.scope)
        media.require_acceptable(operation.media_type)
        given = read_arguments(operation, path)

        def run(write_id: WriteId | None) -> Answer:
            available = {**given, "access": access, "write_id": write_id}
            answer = operation.view(**{name: available[name] for name in operation.parameters})
            return render(operation, spare(answer))

        if access and operation.is_repeatable:
            answer = idempotent.run_once(
                services.idempotency, access.principal, given, run, operation.reserve, is_secret=operation.is_secret
            )
        elif access and operation.scope and operation.databases and request.method == "GET":
            answer = services.response_cache.read_through(
                request.environ, access, operation.rule, operation.scope, operation.databases, lambda: run(None)
            )
        else:
            answer = run(None)
    except Exception as error:
        answer = errors.answer(errors.translate(error))
    try:
        quota.finish(answer.status)
    except TooManyRequests as error:
        answer = errors.answer(error)
    return to_response(answer, quota.headers)


def authenticate(services: Services, quota: Quota) -> Access:
    """Return the access of the request's key. Raises Unauthorized, and TooManyRequests after too many failures."""
    try:
        access = services.authenticator.authenticate(request.headers.get("X-API-Key"))
    except Unauthorized:
        quota.count_failure()
        raise
    current_request().principal = access.principal
    return access


def read_arguments(operation: Operation, path: dict[str, int]) -> dict[str, Any]:
    """Return the ids in the path, and the query and the body if the operation takes them."""
    given: dict[str, Any] = dict(path)
    if operation.query is not None:
        given["query"] = arguments.load_query(operation.query)
    elif request.query_string:
        arguments.load_query(arguments.NO_PARAMETERS)
    if operation.body is not None:
        given["body"] = arguments.load_body(operation.body, operation.max_bytes)
    return given


def spare(answer: Answer) -> Answer:
    """Turn the answer into a 304 if the client has it already."""
    if request.method not in ("GET", "HEAD") or answer.tag is None or not conditional.not_modified(answer.tag):
        return answer
    return replace(answer, body=None, status=304)


def render(operation: Operation, answer: Answer) -> Answer:
    """Return the answer with its status, and its body as bytes with their type and length."""
    status, body = answer.status or operation.status, answer.body
    if body is None:
        return replace(answer, body=b"", status=status)
    if not isinstance(body, bytes):
        body = json_line(operation.answer.dump(body) if isinstance(operation.answer, Schema) else body)
    described = {"Content-Type": operation.media_type, "Content-Length": str(len(body)), **answer.headers}
    return replace(answer, body=body, status=status, headers=described)

"""Declares the operations of the API at their views; ``handle`` answers each of their requests."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from http import HTTPStatus
from typing import Any

import flask
from flask import request
from marshmallow import Schema

from app.errors import TooManyRequests, Unauthorized
from app.http import arguments, errors, idempotent
from app.http.answers import JSON, Answer, Response, json_line, names_tag, to_response
from app.http.identity import Identity, identify
from app.http.methods import accept_patch, allowed_methods, is_read
from app.http.quota import Quota
from app.request_context import current_request
from app.services import Services
from app.store.items import WriteId

View = Callable[..., Answer]

# A page that an answer leads to must not learn the ticket in its URL.
NO_REFERRER = {"Referrer-Policy": "no-referrer"}


@dataclass(frozen=True)
class Operation:
    """One method of one path, as it is declared at its view.

    The view names the arguments that it needs: ``services``, ``identity``, ``access``, ``write_id``, ``query``,
    ``body``, and the ids in the path.
    """

    method: str
    rule: str
    view: View
    # The scope that a key needs; no key is needed without one.
    scope: str | None = None
    # Scopes that suffice as well.
    other_scopes: tuple[str, ...] = ()
    query: Schema | None = None
    body: Schema | None = None
    # Of a success: its status, its schema or OpenAPI type, its headers, its media type.
    status: int = 200
    answer: Schema | dict[str, Any] | None = None
    headers: Collection[str] = ()
    media_type: str = JSON
    # Further media types, which the view chooses from by the Accept header.
    other_media_types: tuple[str, ...] = ()
    # The OpenAPI descriptions of those that are more than text.
    media_types: Mapping[str, Any] = field(default_factory=dict)
    # Request headers that no other operation reads.
    request_headers: tuple[str, ...] = ()
    # Further statuses of errors, which cannot be derived from the other fields.
    also: tuple[int, ...] = ()
    # The databases that a read depends on.
    databases: tuple[str, ...] = ()
    # Multiplies the service's limit for bodies.
    body_factor: int = 1
    # Returns the ids for the items that a request will create, from the services and the request's arguments.
    reserve: Callable[..., tuple[int, ...]] = lambda _, **__: ()
    # Requests with a valid key do not count against its rate limits.
    is_uncounted: bool = False
    # An answer may turn out not to count, so a request is counted once it is answered.
    may_be_uncounted: bool = False
    # A success shows something that must not be stored.
    is_secret: bool = False
    # A ticket in the query can be sent in place of a key.
    takes_tickets: bool = False
    # An Idempotency-Key is refused, since nothing is stored.
    is_stateless: bool = False
    # Whether the OpenAPI document has it.
    is_listed: bool = True
    # The method of the same operation on the path without its last segment, for clients that cannot send that method.
    alias_of: str | None = None

    @cached_property
    def parameters(self) -> frozenset[str]:
        """The names of the view's parameters."""
        return frozenset(inspect.signature(self.view).parameters)

    @property
    def is_idempotent(self) -> bool:
        """Whether a request with an Idempotency-Key is carried out once."""
        return self.method in idempotent.METHODS and not self.is_stateless

    @property
    def checks_conditions(self) -> bool:
        """Whether the view compares the item with the tags of If-Match and If-None-Match."""
        return HTTPStatus.PRECONDITION_FAILED in self.also

    @property
    def refuses_conditions(self) -> bool:
        """Whether a request with a condition is a 412, since it is a write without an item to compare."""
        return self.method not in ("GET", "OPTIONS") and not self.checks_conditions

    def target(self, path: str) -> tuple[str, str]:
        """Return the method and the path that identify the operation, the same for it and its alias."""
        return (self.alias_of, path.rpartition("/")[0]) if self.alias_of else (self.method, path)


class Routes:
    """The operations on one public resource, by the names of their views."""

    def __init__(self, name: str, description: str) -> None:
        self.name, self.description, self.operations = name, description, dict[str, Operation]()

    def operation(self, method: str, rule: str, **declared: Any) -> Callable[[View], View]:
        """Declare the decorated view for ``method`` and ``rule``; ``declared`` are the fields of Operation."""

        def declare(view: View) -> View:
            self.operations[view.__name__] = Operation(method, rule, view, **declared)
            return view

        return declare

    def blueprint(self, services: Services) -> Blueprint:
        """Return the operations as a process carries them out."""
        return Blueprint(self, services)


class Blueprint(flask.Blueprint):
    """Routes that are bound to the services of a process."""

    def __init__(self, routes: Routes, services: Services) -> None:
        super().__init__(routes.name, __name__)
        self.operations = routes.operations
        for name, operation in routes.operations.items():
            view = partial(handle, operation, services)
            self.add_url_rule(operation.rule, name, view, methods=[operation.method])


def handle(operation: Operation, services: Services, **path: int) -> Response:
    """Answer the request that Flask has routed to ``operation``. ``path`` holds the ids in its path.

    Keep its refusals in step with ``Precheck.body_limit``, which predicts them.
    """
    quota = Quota(services.limiter, services.metrics, operation)
    try:
        answer = carry_out(operation, services, quota, path)
    except Exception as error:
        answer = refusal(operation, error)
    try:
        quota.finish(is_free=answer.is_uncounted or answer.status == HTTPStatus.NOT_MODIFIED)
    except TooManyRequests as error:
        answer = errors.answer(error)
    return to_response(answer, quota.headers)


def carry_out(operation: Operation, services: Services, quota: Quota, path: dict[str, int]) -> Answer:
    """Return the answer of the view, the stored one for a repeated Idempotency-Key, or that of an equal read just now.

    Raises any exception of the checks and of the view.
    """
    scope = operation.scope
    identity = authenticate(operation, services, quota, scope, *operation.other_scopes) if scope else None
    access = identity.access if identity else None
    arguments.require_acceptable(operation.media_type, *operation.other_media_types)
    given = read_arguments(operation, services, path)
    if access and operation.is_idempotent and "HTTP_IDEMPOTENCY_KEY" in request.environ:
        return idempotent.run_once(
            services.idempotency,
            access.principal,
            operation.target(request.path),
            given,
            run=lambda write_id: run(operation, services=services, access=access, write_id=write_id, **given),
            reserve=lambda: operation.reserve(services, **given),
            is_secret=operation.is_secret,
        )
    if access and scope and operation.databases and request.method == "GET":
        cache = services.response_cache
        with cache.reading(request.environ, access, operation.rule, scope, operation.databases) as flight:
            flight.result = answer = flight.result or run(operation, services=services, access=access, **given)
        return answer
    facts = {"services": services, "identity": identity, "access": access, "write_id": WriteId()}
    return run(operation, **facts, **given)


def refusal(operation: Operation, error: Exception) -> Answer:
    """Return the answer that reports ``error``, with the headers that the operation needs then."""
    answer = errors.answer(errors.translate(error))
    if answer.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        answer = replace(answer, headers={**answer.headers, **accept_patch(allowed_methods())})
    if operation.takes_tickets and "ticket" in request.args:
        answer = replace(answer, headers={**answer.headers, **NO_REFERRER})
    return answer


def authenticate(operation: Operation, services: Services, quota: Quota, *scopes: str) -> Identity:
    """Return the identity of the request.

    Raises Unauthorized, TooManyRequests, Forbidden, ValidationFailed and Unavailable.
    """
    try:
        tickets = services.change_tickets if operation.takes_tickets else None
        identity = identify(services.authenticator, tickets, request)
    except Unauthorized:
        quota.count_failure()
        raise
    context, access = current_request(), identity.access
    context.principal, context.key_id = access.principal, access.key_id
    quota.admit(access.principal)
    access.require(*scopes)
    return identity


def read_arguments(operation: Operation, services: Services, path: dict[str, int]) -> dict[str, Any]:
    """Return the ids in the path, and the query and the body if the operation takes them.

    Raises ValidationFailed, PreconditionFailed, and the errors of ``load_body``.
    """
    given: dict[str, Any] = path
    if operation.query is not None:
        given["query"] = arguments.load_query(operation.query)
    elif request.query_string:
        arguments.load_query(arguments.NO_PARAMETERS)
    if operation.body is not None:
        given["body"] = arguments.load_body(operation.body, operation.body_factor * services.settings.max_body_bytes)
    elif operation.method in ("POST", "COPY"):
        arguments.load_no_body(services.settings.max_body_bytes)
    if operation.refuses_conditions:
        arguments.refuse_condition()
    if operation.is_stateless:
        idempotent.refuse_key()
    return given


def run(operation: Operation, **available: Any) -> Answer:
    """Return the answer of the view as it is sent: with its status, and its body as bytes, or as a 304."""
    answer = operation.view(**{name: available[name] for name in operation.parameters})
    status, body, headers = answer.status or operation.status, answer.body, answer.headers
    if is_read() and answer.tag and names_tag(request.headers.get("If-None-Match"), answer.tag):
        body, status = None, 304
    if body is None:
        return replace(answer, body=b"", status=status)
    if not isinstance(body, bytes):
        body = json_line(operation.answer.dump(body) if isinstance(operation.answer, Schema) else body)
    headers = {"Content-Type": operation.media_type, "Content-Length": str(len(body)), **headers}
    return replace(answer, body=body, status=status, headers=headers)

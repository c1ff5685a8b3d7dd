"""A blueprint whose operations declare who may call, what comes in and what goes out; OpenAPI is made from that."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from functools import wraps
from http import HTTPStatus
from typing import Any, NamedTuple

import flask_smorest
from flask import g, request
from marshmallow import Schema

from app.domain.access import SCOPES, Access
from app.errors import Unauthorized
from app.http import idempotent, media, rate_limits
from app.http.arguments import StrictParser
from app.wiring import Services

View = Callable[..., Any]

# A method of OpenAPI that no operation has.
STAND_IN = "trace"
SPARED = "What you have is current; the headers are those of the 200."


class Requirements(NamedTuple):
    """What an operation demands of a request's headers; ``max_bytes`` is None for the service's usual limit."""

    scope: str | None = None
    reads_json: bool = False
    max_bytes: int | None = None


class Nothing(Schema):
    """The query of an operation that takes none."""


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A public noun and its operations. ``services`` is None where no operation needs a key."""

    ARGUMENTS_PARSER = StrictParser()
    HTTP_METHODS = [*flask_smorest.Blueprint.HTTP_METHODS, "COPY"]  # noqa: RUF012

    def __init__(self, name: str, description: str, services: Services | None = None) -> None:
        super().__init__(name, __name__, description=description)
        self._services = services
        self.requirements: dict[str, Requirements] = {}
        self._prepare_doc_cbks.append(_request_headers)

    def operation(
        self,
        method: str,
        rule: str,
        *,
        scope: str | None = None,
        query: type[Schema] = Nothing,
        body: type[Schema] | None = None,
        status: int = 200,
        answer: Schema | dict[str, Any] | None = None,
        headers: Collection[str] = (),
        also: tuple[int, ...] = (),
        media_type: str = media.JSON,
        listed: bool = True,
        reserve: idempotent.Reserve = lambda **_: (),
        secret: bool = False,
        max_bytes: int | None = None,
    ) -> Callable[[View], View]:
        """Register a view for one method of one path; in the OpenAPI document, too, if it is ``listed``.

        The view receives the path's ids, and ``query`` and ``body`` as keyword arguments where declared, and returns
        what ``answer`` renders, alone or with headers, or a finished response. ``headers`` names what a success
        carries; with a tag, a GET can be spared. ``also`` lists statuses not implied. The key is checked first.
        ``reserve`` returns the ids of the items that the view will make; a ``secret`` success is shown once; a body may
        have ``max_bytes`` where that is not what the service takes otherwise.
        """

        def decorate(view: View) -> View:
            carried = {name: name for name in ("X-Request-ID", *_counted(scope), *headers)}
            success = {"headers": carried, "content_type": media_type, "example": _example(answer)}
            answering = self.response(status, answer, **success)(view)
            if self._services is not None and method in idempotent.METHODS:
                answering = idempotent.once(self._services.idempotency, answering, reserve, secret=secret)
            if body is not None:
                answering = self._with_body(body, method)(answering)
            if query is not Nothing:
                answering = self.arguments(query(), location="query", arg_name="query")(answering)
            # What follows only describes, and is not called: each of a dozen layers would cost a call.
            documented = answering
            if method == "GET" and "ETag" in headers:
                documented = self.alt_response(304, headers=carried, description=SPARED)(documented)
            for other in sorted(_implied(method, scope, body, rule).union(also)):
                documented = self.alt_response(other, HTTPStatus(other).name)(documented)
            documented = self.doc(operationId=view.__name__, **_access(view, scope))(documented)
            add = self.add_url_rule if listed else super(flask_smorest.Blueprint, self).add_url_rule
            guarded = wraps(documented)(self._guard(answering, scope, query, media_type, max_bytes))
            add(rule, view.__name__, guarded, methods=[method])
            self.requirements[view.__name__] = Requirements(scope, body is not None, max_bytes)
            return view

        return decorate

    def _with_body(self, body: type[Schema], method: str) -> Callable[[View], View]:
        # Of a class, a schema would be made anew for each request, which takes longer than to load a body with it.
        schema = body()
        described = {"content_type": media.KINDS.get(method, (media.JSON,))[-1], "example": _example(schema)}
        found: Callable[[View], View] = self.arguments(schema, location="json", arg_name="body", **described)
        return found

    def _store_endpoint_docs(self, endpoint: str, *args: Any, **kwargs: Any) -> None:
        """Describe a COPY, which OpenAPI 3.1 does not know, as a method that it does; app.api.openapi renames it."""
        super()._store_endpoint_docs(endpoint, *args, **kwargs)
        if "copy" in self._docs[endpoint]:
            self._docs[endpoint][STAND_IN] = self._docs[endpoint].pop("copy")

    def _guard(
        self, view: View, scope: str | None, query: type[Schema], media_type: str, max_bytes: int | None
    ) -> View:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if scope is not None:
                self._authenticate().require(scope)
            media.require_acceptable(media_type)
            if max_bytes is not None:
                # The first byte too many must still be read, as app.create_app has it.
                request.max_content_length = max_bytes + 1
            if query is Nothing and request.query_string:
                self.ARGUMENTS_PARSER.parse(Nothing, request, location="query")
            return view(*args, **kwargs)

        return guarded

    def _authenticate(self) -> Access:
        assert self._services is not None
        try:
            access = self._services.authenticator.authenticate(request.headers.get("X-API-Key"))
        except Unauthorized:
            rate_limits.count_failure(self._services.limiter)
            raise
        g.access = access
        rate_limits.admit(self._services.limiter, access.principal)
        return access


def _counted(scope: str | None) -> tuple[str, ...]:
    """Return the headers that an operation's answers carry because its requests are counted."""
    return rate_limits.HEADERS if scope is not None else ()


def _implied(method: str, scope: str | None, body: type[Schema] | None, rule: str) -> set[int]:
    """Return the statuses that every operation of this shape can answer with."""
    found = {400, 406, 500}
    if scope is not None:
        found |= {401, 403, 429, 503}
    if method in idempotent.METHODS:
        found |= {409, 422}
    if body is not None:
        found |= {413, 415}
    if "<" in rule:
        found |= {404}
    return found


def _example(schema: Any) -> Any:
    """Return what a schema shows as its example, if it has any: all of its items for a list, else the last."""
    examples = getattr(schema, "EXAMPLES", None)
    return examples[-1] if examples and not schema.many else examples


def _request_headers(operation: dict[str, Any], _: object, **__: object) -> dict[str, Any]:
    """Name the request headers that an operation heeds; flask-smorest calls this for each."""
    names = {304: "If-None-Match", 412: "If-Match", 422: "Idempotency-Key"}
    chosen = [name for status, name in names.items() if status in operation["responses"]]
    operation.setdefault("parameters", []).extend([*chosen, "X-Request-ID"])
    return operation


def _access(view: View, scope: str | None) -> dict[str, Any]:
    """Return the description and what it takes to be let in."""
    _, _, more = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
    needs = f"Needs the scope `{scope}`: {SCOPES[scope]}." if scope else "Needs no key."
    described = {"description": f"{more}\n\n{needs}".strip()}
    return {**described, "security": [{"ApiKey": []}], "x-scope": scope} if scope else {**described, "security": []}

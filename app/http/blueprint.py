"""A blueprint whose operations declare who may call, what comes in and what goes out; OpenAPI is made from that."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

import flask_smorest
from flask import g, request
from marshmallow import Schema

from app.domain.access import SCOPES, Access
from app.domain.authenticator import Authenticator
from app.http import media
from app.http.arguments import StrictParser

View = Callable[..., Any]


class Nothing(Schema):
    """The query of an operation that takes none."""


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A public noun and its operations. ``authenticator`` is None where no operation needs a key."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, description: str, authenticator: Authenticator | None = None) -> None:
        super().__init__(name, __name__, description=description)
        self._authenticator = authenticator

    def operation(
        self,
        method: str,
        rule: str,
        *,
        scope: str | None = None,
        query: type[Schema] = Nothing,
        body: type[Schema] | None = None,
        status: int = 200,
        answer: Schema | None = None,
        headers: dict[str, Any] | None = None,
        also: tuple[int, ...] = (),
        media_type: str = media.JSON,
    ) -> Callable[[View], View]:
        """Register a view for one method of one path.

        The view receives the path's ids, and ``query`` and ``body`` as keyword arguments where they are declared. It
        returns what ``answer`` renders, alone or with headers, or a finished response. ``also`` lists statuses that
        the declaration does not imply. The key and its scope are checked before anything else is looked at.
        """

        def decorate(view: View) -> View:
            documented = self.response(status, answer, headers=headers, content_type=media_type)(view)
            if body is not None:
                documented = self.arguments(body, location="json", arg_name="body")(documented)
            if query is not Nothing:
                documented = self.arguments(query, location="query", arg_name="query")(documented)
            for other in {*_implied(scope, body, rule), *also}:
                documented = self.alt_response(other, HTTPStatus(other).name)(documented)
            documented = self.doc(**_security(scope))(documented)
            guarded = self._guard(documented, scope, query, media_type)
            self.add_url_rule(rule, view.__name__, guarded, methods=[method])
            return view

        return decorate

    def _guard(self, view: View, scope: str | None, query: type[Schema], media_type: str) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if scope is not None:
                self._authenticate().require(scope)
            media.require_acceptable(media_type)
            if query is Nothing:
                self.ARGUMENTS_PARSER.parse(Nothing, request, location="query")
            return view(*args, **kwargs)

        return guarded

    def _authenticate(self) -> Access:
        assert self._authenticator is not None
        g.access = self._authenticator.authenticate(request.headers.get("X-API-Key"))
        access: Access = g.access
        return access


def _implied(scope: str | None, body: type[Schema] | None, rule: str) -> set[int]:
    """Return the statuses that every operation of this shape can answer with."""
    found = {400, 406, 500}
    if scope is not None:
        found |= {401, 403, 503}
    if body is not None:
        found |= {413, 415}
    if "<" in rule:
        found |= {404}
    return found


def _security(scope: str | None) -> dict[str, Any]:
    if scope is None:
        return {"security": []}
    return {
        "security": [{"ApiKey": []}],
        "x-scope": scope,
        "description": f"Needs the scope `{scope}`: {SCOPES[scope]}.",
    }

"""A blueprint whose operations declare their callers, arguments and answers; OpenAPI is generated from that."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import flask
from marshmallow import Schema

from app.http import media, pipeline
from app.http.answer import Answer
from app.http.idempotent import METHODS, Reserve
from app.wiring import Services

View = Callable[..., Answer]


@dataclass(frozen=True)
class Operation:
    """One method of one path, as it is declared at its view.

    The view names the arguments that it needs: ``access``, ``write_id``, ``query``, ``body``, and the
    ids in the path.
    """

    method: str
    rule: str
    view: View
    # The scope that a key needs; no key is needed without one.
    scope: str | None = None
    query: Schema | None = None
    body: Schema | None = None
    # Of a success: its status, its schema or OpenAPI type, its headers, its media type.
    status: int = 200
    answer: Schema | dict[str, Any] | None = None
    headers: Collection[str] = ()
    media_type: str = media.JSON
    # Statuses of errors that do not follow from the rest.
    also: tuple[int, ...] = ()
    # The databases that a read depends on.
    databases: tuple[str, ...] = ()
    # Replaces the service's limit for bodies.
    max_bytes: int | None = None
    # Returns the ids for the items that a request will create, called with the request's arguments.
    reserve: Reserve = lambda **_: ()
    # A success shows something that must not be stored.
    is_secret: bool = False
    # Whether the OpenAPI document has it.
    is_listed: bool = True

    @cached_property
    def parameters(self) -> frozenset[str]:
        """The names of the view's parameters."""
        return frozenset(inspect.signature(self.view).parameters)

    @property
    def is_repeatable(self) -> bool:
        """Whether requests may carry an Idempotency-Key."""
        return self.scope is not None and self.method in METHODS


class Blueprint(flask.Blueprint):
    """One public resource and its operations, by the names of their views."""

    def __init__(self, name: str, description: str, services: Services) -> None:
        super().__init__(name, __name__)
        self.description, self.operations = description, dict[str, Operation]()
        self._services = services

    def operation(self, method: str, rule: str, **declared: Any) -> Callable[[View], View]:
        """Register the decorated view for ``method`` and ``rule``; ``declared`` are the fields of Operation."""

        def register(view: View) -> View:
            operation = Operation(method, rule, view, **declared)
            self.operations[view.__name__] = operation
            handle = partial(pipeline.handle, operation, self._services)
            self.add_url_rule(rule, view.__name__, handle, methods=[method])
            return view

        return register

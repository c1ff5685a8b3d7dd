"""Reads queries and bodies into schemas, and reports the place of every fault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import marshmallow
from flask import request
from marshmallow import Schema

from app.errors import Fault, ValidationFailed
from app.http.media import json_body

# A body can hold a million faults: at most this many are reported, and no others are looked for.
MAX_FAULTS = 100
MORE = "There are more faults than these."
# The query of an operation that takes none.
NO_PARAMETERS = Schema()


def load_query(schema: Schema) -> dict[str, Any]:
    """Return the query's parameters. Raises ValidationFailed, also for unknown and for repeated parameters."""
    if not (schema.load_fields or request.query_string):
        return {}
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        raise _refusal((Fault(_below("query", name), "Given more than once.") for name in repeated), "query")
    return load(schema, request.args.to_dict(), "query")


def load_body(schema: Schema, max_bytes: int | None) -> dict[str, Any]:
    """Return the members of a strict JSON body; ``max_bytes`` replaces the service's own limit if set.

    Raises ValidationFailed and the errors of ``json_body``.
    """
    if max_bytes is not None:
        # The first byte too many must still be read, as create_app explains.
        request.max_content_length = max_bytes + 1
    return load(schema, json_body(), "body")


def load(schema: Schema, value: object, location: str) -> dict[str, Any]:
    """Load a value at ``location`` (empty for the whole) with ``schema``. Raises ValidationFailed."""
    try:
        loaded: dict[str, Any] = schema.load(_without_surplus(value, schema), unknown=marshmallow.RAISE)
    except marshmallow.ValidationError as error:
        raise _refusal(_faults(error.messages, location), location) from error
    return loaded


def _without_surplus(value: Any, schema: Schema) -> Any:
    """Return an object with only as many unknown members as are reported, since marshmallow looks at each."""
    known = schema.load_fields
    if not isinstance(value, dict) or len(value) <= len(known) + MAX_FAULTS:
        return value
    unknown = islice((name for name in value if name not in known), MAX_FAULTS + 1)
    return {name: value[name] for name in (*(known.keys() & value.keys()), *unknown)}


def _refusal(faults: Iterable[Fault], location: str) -> ValidationFailed:
    """Return the error that reports the first faults at ``location``, and whether there are more."""
    first = tuple(islice(faults, MAX_FAULTS + 1))
    reported = first if len(first) <= MAX_FAULTS else (*first[:MAX_FAULTS], Fault(location, MORE))
    return ValidationFailed(faults=reported)


def _faults(messages: Any, location: str) -> Iterator[Fault]:
    """Flatten marshmallow's nested messages; its name for a whole object, ``_schema``, adds nothing to the path."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from _faults(inner, location if location and name == "_schema" else _below(location, str(name)))
    else:
        for message in messages:
            yield Fault(location, message)


def _below(location: str, name: str) -> str:
    return f"{location}.{name[:100]}".removeprefix(".")

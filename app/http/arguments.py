"""Reads queries and bodies into schemas, and says of every fault where it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NoReturn

import marshmallow
from flask import Request
from webargs.flaskparser import FlaskParser

from app.errors import Fault, ValidationFailed
from app.http.media import json_body

# webargs names the places it reads from; the contract names two of them differently.
PLACES = {"json": "body", "querystring": "query"}
# A body can hold a million faults: so many are told of, and the others are not even looked for.
MOST_FAULTS = 100
MORE = "There are more faults than these."


class StrictParser(FlaskParser):
    """Like its base, but nothing is ignored: unknown and repeated parameters are faults."""

    DEFAULT_VALIDATION_STATUS = 400
    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": marshmallow.RAISE,
        "json": marshmallow.RAISE,
    }

    def load_querystring(self, req: Request, schema: marshmallow.Schema) -> Any:
        """Return the query's parameters. Raises ValidationFailed when one is given more than once."""
        repeated = [name for name, values in req.args.lists() if len(values) > 1]
        if repeated:
            raise _refusal((Fault(_below("query", name), "Given more than once.") for name in repeated), "query")
        return super().load_querystring(req, schema)

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:  # noqa: ARG002
        """Return the strictly parsed body."""
        return _cut(json_body(), schema)

    def handle_error(self, error: marshmallow.ValidationError, *_: Any, **__: Any) -> NoReturn:
        """Raise ValidationFailed with a fault for each message of ``error``."""
        ((place, messages),) = error.messages_dict.items()
        location = PLACES.get(place, place)
        raise _refusal(_faults(messages, location), location) from error


def load(schema: marshmallow.Schema, value: object, location: str) -> dict[str, Any]:
    """Return what ``schema`` makes of a JSON value at ``location``, the whole if empty. Raises ValidationFailed."""
    try:
        loaded: dict[str, Any] = schema.load(_cut(value, schema), unknown=marshmallow.RAISE)
    except marshmallow.ValidationError as error:
        raise _refusal(_faults(error.messages, location), location) from error
    return loaded


def _cut(value: Any, schema: marshmallow.Schema) -> Any:
    """Return an object without the unknown members that are too many to be told of: marshmallow looks at each."""
    known = schema.load_fields
    if not isinstance(value, dict) or len(value) <= len(known) + MOST_FAULTS:
        return value
    unknown = islice((name for name in value if name not in known), MOST_FAULTS + 1)
    return {name: value[name] for name in (*(known.keys() & value.keys()), *unknown)}


def _refusal(faults: Iterable[Fault], whole: str) -> ValidationFailed:
    """Return the error that tells of the first faults with what is at ``whole``, and whether there are more."""
    first = tuple(islice(faults, MOST_FAULTS + 1))
    told = first if len(first) <= MOST_FAULTS else (*first[:MOST_FAULTS], Fault(whole, MORE))
    return ValidationFailed(faults=told)


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

"""Reads queries and bodies into schemas, and says of every fault where it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import marshmallow
from flask import Request
from webargs.flaskparser import FlaskParser

from app.errors import Fault, ValidationFailed
from app.http.media import json_body

# webargs names the places it reads from; the contract names two of them differently.
PLACES = {"json": "body", "querystring": "query"}


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
            raise ValidationFailed(
                faults=tuple(Fault(f"query.{name[:100]}", "Given more than once.") for name in repeated)
            )
        return super().load_querystring(req, schema)

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:  # noqa: ARG002
        """Return the strictly parsed body."""
        return json_body()

    def handle_error(self, error: marshmallow.ValidationError, *_: Any, **__: Any) -> NoReturn:
        """Raise ValidationFailed with a fault for each message of ``error``."""
        raise ValidationFailed(faults=tuple(_faults(error.messages, ""))) from error


def load(schema: marshmallow.Schema, value: object, location: str) -> dict[str, Any]:
    """Return what ``schema`` makes of a JSON value at ``location``. Raises ValidationFailed."""
    try:
        loaded: dict[str, Any] = schema.load(value, unknown=marshmallow.RAISE)  # type: ignore[arg-type]
    except marshmallow.ValidationError as error:
        raise ValidationFailed(faults=tuple(_faults(error.messages, location))) from error
    return loaded


def _faults(messages: Any, location: str) -> Iterator[Fault]:
    """Flatten marshmallow's nested messages; its name for a whole object, ``_schema``, adds nothing to the path."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            step = (
                ""
                if name == "_schema"
                else PLACES.get(name, str(name)[:100])
                if not location
                else f".{str(name)[:100]}"
            )
            yield from _faults(inner, location + step)
    else:
        for message in messages:
            yield Fault(location, message)

"""Schemas whose valid objects are loaded by a few checks; marshmallow sees the others, to explain their faults."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from marshmallow import Schema, ValidationError, fields

from app.schemas.values import Identifier


class _Check(NamedTuple):
    """The type of a member's value in JSON, and the validators of its field."""

    type: type
    validators: list[Callable[[Any], Any]]


class PlainSchema(Schema):
    """A schema without hooks, defaults and renamed members, for objects that are loaded often.

    marshmallow takes about ten times as long for an object as these checks. Fields of other types, null and
    everything that is not certainly valid is left to marshmallow.
    """

    # The types of fields that keep a value of this type as it is.
    KEEPING: ClassVar[dict[type, type]] = {fields.String: str, fields.Dict: dict, Identifier: int}

    def load(self, data: Any, **options: Any) -> Any:
        """Return the members of an object. Raises ValidationError; ``options`` are those of marshmallow."""
        loaded = self._accept(data)
        return super().load(data, **options) if loaded is None else loaded

    @cached_property
    def _checks(self) -> dict[str, _Check]:
        plain = {name: field for name, field in self.load_fields.items() if type(field) in self.KEEPING}
        return {name: _Check(self.KEEPING[type(field)], field.validators) for name, field in plain.items()}

    @cached_property
    def _required(self) -> frozenset[str]:
        return frozenset(name for name, field in self.load_fields.items() if field.required)

    def _accept(self, data: Any) -> dict[str, Any] | None:
        """Return a valid object with its members in the schema's order, None if marshmallow is to look at it."""
        checks = self._checks
        if type(data) is not dict or not (data.keys() <= checks.keys() and self._required <= data.keys()):
            return None
        try:
            for name, value in data.items():
                check = checks[name]
                # A boolean is no integer here, and null is no text.
                if type(value) is not check.type:
                    return None
                for validate in check.validators:
                    validate(value)
        except ValidationError:
            return None
        return {name: data[name] for name in checks if name in data}

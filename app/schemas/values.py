"""Field types with bounds, which OpenAPI shows; they refuse input that Python alone would accept."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Any

from marshmallow import fields, validate

from app.store.items import MAX_ID

MAX_LIMIT = 2**31 - 1
MAX_TAG_CHARACTERS = 200
RFC_3339 = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"


class Identifier(fields.Integer):
    """A public id as a JSON number."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(1, MAX_ID), **kwargs)


class DecimalText(fields.Integer):
    """A whole number in a query: digits without sign, space or leading zero, from 1 to ``highest``."""

    def __init__(self, highest: int, **kwargs: Any) -> None:
        super().__init__(validate=validate.Range(1, highest), **kwargs)
        self.error_messages["invalid"] = f"Not a whole number from 1 to {highest}."

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not re.fullmatch(r"[1-9][0-9]{0,15}", value, re.ASCII):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class IdentifierList(fields.Field[tuple[int, ...]]):
    """Ids in a query, separated by commas; few enough for one page, and for a next page's URL to be fetched."""

    default_error_messages = {"invalid": "Not 1 to 1,000 ids separated by commas, in at most 7,000 characters."}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[int, ...]:  # noqa: ARG002
        parts = value.split(",")
        if (
            len(parts) > 1_000
            or len(value) > 7_000
            or not all(re.fullmatch(r"[1-9][0-9]{0,15}", part, re.ASCII) for part in parts)
        ):
            raise self.make_error("invalid")
        return tuple(sorted({int(part) for part in parts}))


class Moment(fields.AwareDateTime):
    """A moment as RFC 3339 writes it, with its offset from UTC; digits after the microseconds are dropped."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(RFC_3339, value, re.ASCII | re.IGNORECASE):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        try:
            return super()._deserialize(value.upper(), attr, data, **kwargs).astimezone(UTC)
        except OverflowError as error:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from error


class BoundedList(fields.List[Any]):
    """A list whose elements are only looked at once there are neither too few nor too many of them."""

    def __init__(self, inner: fields.Field[Any], least: int | None, most: int, **kwargs: Any) -> None:
        self._length = validate.Length(least, most)
        # OpenAPI's bounds are those of the validators.
        super().__init__(inner, validate=self._length, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, list):
            self._length(value)
        return super()._deserialize(value, attr, data, **kwargs)


def text_of(least: int, most: int, **kwargs: Any) -> fields.String:
    """Return a field for text with a bounded number of characters."""
    return fields.String(validate=validate.Length(least, most), **kwargs)


def title_text(**kwargs: Any) -> fields.String:
    """Return a field for a title or name; design_docs/_shared/rules.js has the same rule under the same name."""
    return text_of(1, 300, **kwargs)

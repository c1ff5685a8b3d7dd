"""The query parameters of listings."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.schemas.values import MAX_LIMIT, DecimalText, IdentifierList


class CursorQuery(Schema):
    """The size, position and order of a page."""

    limit = DecimalText(
        MAX_LIMIT,
        metadata={
            "description": "Items per page; a number above the service's maximum means the maximum.",
            "format": "int32",
            "examples": [10],
        },
    )
    # The service refuses a cursor that it did not encrypt; the pattern only shows the characters of a cursor.
    cursor = fields.String(
        metadata={
            "description": "The cursor of an x-next, with the same filters.",
            "pattern": "^[A-Za-z0-9._-]+$",
        }
    )
    order = fields.String(
        validate=validate.OneOf(["asc", "desc"]), metadata={"description": "By id: asc (default) or desc."}
    )


class PageQuery(CursorQuery):
    """The same with a filter by ids."""

    ids = IdentifierList(
        metadata={
            "description": "Only these ids, separated by commas, at most 1,000.",
            "type": "string",
            "pattern": "^[1-9][0-9]{0,15}(,[1-9][0-9]{0,15})*$",
            "examples": ["1,2,3"],
        }
    )

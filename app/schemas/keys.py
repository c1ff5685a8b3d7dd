"""The shapes of keys: what makes one, and what is shown of it."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from app.domain.access import SCOPES
from app.domain.keys.keys import MOST_IDS, OVERLAPS, USUAL_OVERLAP
from app.schemas.values import BoundedList, Identifier, Moment, title


def reached(**kwargs: Any) -> BoundedList:
    """Return a field for the ids that a key is limited to."""
    return BoundedList(Identifier(), None, MOST_IDS, **kwargs)


class NewKeySchema(Schema):
    """What a client sends to make a key, which can do no more than the key that it sends it with."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {"name": "Nightly import", "scopes": ["documents:read", "documents:write"]}
    ]

    name = title(required=True)
    scopes = BoundedList(fields.String(validate=validate.OneOf(list(SCOPES))), 1, len(SCOPES), required=True)
    projects = reached(metadata={"description": "Only these projects and the documents in them."})
    documents = reached(metadata={"description": "Only these documents, and those in `projects`."})
    out_of_scope = fields.String(
        validate=validate.OneOf(["forbid", "hide"]),
        metadata={"description": "Whether what is beyond it is a 403 or a 404; else as the service is set."},
    )
    expires_at = Moment(metadata={"description": "When it ends; without it, when the key that makes it does."})


class RotationSchema(Schema):
    """How long the old key goes on."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [{"overlap": USUAL_OVERLAP}]

    overlap = fields.Integer(
        strict=True,
        load_default=USUAL_OVERLAP,
        validate=validate.OneOf(OVERLAPS),
        metadata={"description": "Seconds for which the old key goes on."},
    )


class KeySchema(Schema):
    """A key without its secret; a moment that was never set is absent."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {
            "id": 7,
            "principal": "p7",
            **NewKeySchema.EXAMPLES[0],
            "created_at": "2026-01-31T12:00:00.000000Z",
        }
    ]

    id = Identifier(required=True)
    principal = fields.String(required=True, metadata={"description": "Whose key it is; rotation keeps it."})
    name = title(required=True)
    scopes = fields.List(fields.String(validate=validate.OneOf(list(SCOPES))), required=True)
    projects = fields.List(Identifier())
    documents = fields.List(Identifier())
    out_of_scope = fields.String(validate=validate.OneOf(["forbid", "hide"]))
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    expires_at = fields.String(metadata={"format": "date-time"})
    retired_at = fields.String(metadata={"format": "date-time", "description": "When it ends, since it was rotated."})
    revoked_at = fields.String(metadata={"format": "date-time"})
    last_used_at = fields.String(
        metadata={"format": "date-time", "description": "When it was last accepted, a minute or so late."}
    )


class MintedKeySchema(KeySchema):
    """A key in the one answer that shows its secret."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [{**KeySchema.EXAMPLES[0], "key": "YOUR_API_KEY"}]

    key = fields.String(required=True, metadata={"description": "The key itself, shown this once."})

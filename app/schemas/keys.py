"""The shapes of keys: the body that creates one, and the answers."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from app.domain.access import SCOPES
from app.domain.keys.keys import DEFAULT_OVERLAP_SECONDS, MAX_IDS, OVERLAP_SECONDS
from app.schemas.values import BoundedList, Identifier, Moment, title_text

# ``app/domain/keys/key_text.py`` has the format.
KEY_PATTERN = "^ds_[a-z0-9]{1,16}_[0-9A-Za-z]{49}$"


def limited_to(**kwargs: Any) -> BoundedList:
    """Return a field for the ids that a key is limited to."""
    return BoundedList(Identifier(), None, MAX_IDS, **kwargs)


class NewKeySchema(Schema):
    """The body that creates a key, which can do no more than the key that sends it."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {"name": "Nightly import", "scopes": ["documents:read", "documents:write"]}
    ]

    name = title_text(required=True, metadata={"description": "A name for people, of 1 to 300 characters."})
    scopes = BoundedList(
        fields.String(validate=validate.OneOf(list(SCOPES))),
        1,
        len(SCOPES),
        required=True,
        metadata={"description": "The rights of the key."},
    )
    projects = limited_to(metadata={"description": "Only these projects and the documents in them."})
    documents = limited_to(metadata={"description": "Only these documents, and those in `projects`."})
    out_of_scope = fields.String(
        validate=validate.OneOf(["forbid", "hide"]),
        metadata={"description": "The answer outside the limits: 403 or 404. The service has a default."},
    )
    expires_at = Moment(metadata={"description": "When the key expires; by default when the key that creates it does."})


def moment_text(description: str, **kwargs: Any) -> fields.String:
    """Return a field for a moment in an answer, as RFC 3339 writes it."""
    return fields.String(metadata={"format": "date-time", "description": description}, **kwargs)


class RotationSchema(Schema):
    """How long the old key stays valid."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [{"overlap": DEFAULT_OVERLAP_SECONDS}]

    overlap = fields.Integer(
        strict=True,
        load_default=DEFAULT_OVERLAP_SECONDS,
        validate=validate.OneOf(OVERLAP_SECONDS),
        metadata={"description": "Seconds for which the old key stays valid."},
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

    id = Identifier(required=True, metadata={"description": "Assigned by the service and never reused."})
    principal = fields.String(required=True, metadata={"description": "The owner of the key, which rotation keeps."})
    name = title_text(required=True, metadata={"description": "A name for people."})
    scopes = fields.List(
        fields.String(validate=validate.OneOf(list(SCOPES))),
        required=True,
        metadata={"description": "The rights of the key."},
    )
    projects = fields.List(Identifier(), metadata={"description": "The projects that the key is limited to."})
    documents = fields.List(Identifier(), metadata={"description": "The documents that the key is limited to."})
    out_of_scope = fields.String(
        validate=validate.OneOf(["forbid", "hide"]),
        metadata={"description": "The answer outside the limits: 403 or 404."},
    )
    created_at = moment_text("When the key was created.", required=True)
    expires_at = moment_text("When the key expires.")
    retired_at = moment_text("When the rotated key ends.")
    revoked_at = moment_text("When the key was revoked.")
    last_used_at = moment_text("The last use of the key, up to a minute late.")


class MintedKeySchema(KeySchema):
    """A key in the only answer that shows its secret."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [{**KeySchema.EXAMPLES[0], "key": "ds_live_" + 7 * "EXAMPLE"}]

    key = fields.String(
        required=True,
        metadata={"description": "The key itself, shown only in this answer.", "pattern": KEY_PATTERN},
    )

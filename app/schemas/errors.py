"""The shape of every error."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.errors import ERRORS


class FaultSchema(Schema):
    """One thing that is wrong with a request."""

    location = fields.String(required=True, metadata={"description": "Where, such as body.title."})
    reason = fields.String(required=True, metadata={"description": "What is wrong there."})


class ErrorSchema(Schema):
    """CouchDB's own error shape, with the request's id; `errors` is there when the status is 400."""

    error = fields.String(
        required=True,
        validate=validate.OneOf([error.code for error in ERRORS]),
        metadata={"description": "A code for programs."},
    )
    reason = fields.String(required=True, metadata={"description": "A sentence for people."})
    request_id = fields.String(required=True, metadata={"description": "The same as in X-Request-ID."})
    errors = fields.List(
        fields.Nested(FaultSchema),
        metadata={"description": "With 400 only: what is wrong and where; empty where no place can be named."},
    )

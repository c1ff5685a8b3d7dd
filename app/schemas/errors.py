"""The shape of every error."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.errors import ERRORS


class FaultSchema(Schema):
    """One thing that is wrong with a request."""

    location = fields.String(required=True, metadata={"description": "Where, such as body.title."})
    reason = fields.String(required=True)


class ErrorSchema(Schema):
    """CouchDB's own error shape, with the request's id; `errors` is there when the status is 400."""

    error = fields.String(required=True, validate=validate.OneOf([error.code for error in ERRORS]))
    reason = fields.String(required=True)
    request_id = fields.String(required=True)
    errors = fields.List(fields.Nested(FaultSchema))

"""The shape of every error."""

from __future__ import annotations

from marshmallow import Schema, fields

from app.errors import ERRORS

# Not an enumeration: the Python clients that are generated from one fail on a code that a newer service has added.
CODES = [error.code for error in ERRORS]


class FaultSchema(Schema):
    """One fault of a request."""

    location = fields.String(required=True, metadata={"description": "The place of the fault, such as body.title."})
    reason = fields.String(required=True, metadata={"description": "The rule that is broken there."})


class ErrorSchema(Schema):
    """CouchDB's own error shape, with the request's id; `errors` is there when the status is 400."""

    error = fields.String(
        required=True,
        metadata={"description": "A code for programs. Codes may be added.", "examples": CODES},
    )
    reason = fields.String(required=True, metadata={"description": "A sentence for people."})
    request_id = fields.String(required=True, metadata={"description": "The value of X-Request-ID."})
    errors = fields.List(
        fields.Nested(FaultSchema),
        metadata={"description": "With status 400 only: every fault and its location; empty if there is no location."},
    )

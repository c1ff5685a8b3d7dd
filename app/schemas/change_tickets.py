"""The shapes of a ticket for a stream of changes."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, fields

from app.domain.changes.tickets import VALID_SECONDS
from app.schemas.changes import ChangesQuerySchema
from app.schemas.values import Identifier

QUERY = ChangesQuerySchema().fields


class NewTicketSchema(Schema):
    """The place where a stream begins, and its filters, as in the query of `GET /changes`."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [{"type": "document", "include": "value"}]

    since = fields.String(validate=QUERY["since"].validators, metadata=QUERY["since"].metadata)
    include = fields.String(validate=QUERY["include"].validators, metadata=QUERY["include"].metadata)
    type = fields.String(validate=QUERY["type"].validators, metadata=QUERY["type"].metadata)
    project_id = Identifier(metadata=QUERY["project_id"].metadata)


class TicketSchema(Schema):
    """A ticket, and the URL that it opens."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {
            "ticket": "ds_ticket_WyJwOV9kIiwxLCJwMSIsMTc2NF0.o6yTz1x",
            "url": "https://api.dreamscript.example/changes?ticket=ds_ticket_WyJwOV9kIiwxLCJwMSIsMTc2NF0.o6yTz1x",
            "expires_in": VALID_SECONDS,
        }
    ]

    ticket = fields.String(required=True, metadata={"description": "The ticket."})
    url = fields.String(
        required=True,
        metadata={"description": "The absolute URL of the stream, for an `EventSource`.", "format": "uri"},
    )
    expires_in = fields.Integer(
        required=True,
        metadata={"description": "The seconds until the URL opens no new stream; it then only continues its own."},
    )

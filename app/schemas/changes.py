"""The shape of the changes, and of the query for them."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from app.domain.resources import DOCUMENT, PROJECT
from app.schemas.values import MAX_LIMIT, DecimalText, Identifier
from app.store.items import MAX_ID

TYPES = (PROJECT.name, DOCUMENT.name)
FEEDS = ("poll", "longpoll", "eventsource")


class ChangesQuerySchema(Schema):
    """The place where a client goes on, and its filters."""

    since = fields.String(
        validate=validate.Length(min=1),
        metadata={
            "description": "The `next` of the answer before. Without it, the first sync begins: the listing of all that"
            " the key sees, then the changes. `now` skips the listing.",
            "pattern": "^[A-Za-z0-9_-]+$",
            "examples": ["now"],
        },
    )
    limit = DecimalText(
        MAX_LIMIT,
        metadata={
            "description": "Changes per answer; a number above the service's maximum means the maximum.",
            "format": "int32",
            "examples": [10],
        },
    )
    include = fields.String(
        validate=validate.OneOf(["value"]), metadata={"description": "`value` adds the items themselves."}
    )
    type = fields.String(
        validate=validate.OneOf(TYPES),
        metadata={"description": "Only this type; without it, the types that the key may read."},
    )
    project_id = DecimalText(
        MAX_ID,
        metadata={
            "description": "Only this project and the documents in it; one that leaves it is reported as deleted.",
            "examples": [10],
        },
    )
    feed = fields.String(
        validate=validate.OneOf(FEEDS),
        metadata={
            "description": "`poll` answers at once, `longpoll` waits for the first change, and `eventsource` is a"
            " stream of events. The default is `poll`, or `eventsource` if the Accept header prefers"
            " `text/event-stream`."
        },
    )
    timeout = DecimalText(
        MAX_LIMIT,
        metadata={
            "description": "How long a long-poll waits, in seconds: 25 by default; a number above 60 means 60. Without"
            " effect on other feeds.",
            "format": "int32",
            "examples": [1],
        },
    )
    ticket = fields.String(
        metadata={
            "description": "A ticket of `POST /changes/tickets`, in place of a key. It opens a stream of events with"
            " the parameters that it was issued for; others are refused."
        }
    )


class ChangeSchema(Schema):
    """The latest state of one item."""

    type = fields.String(required=True, validate=validate.OneOf(TYPES), metadata={"description": "The item's type."})
    id = Identifier(required=True, metadata={"description": "The item's id."})
    etag = fields.String(
        required=True,
        metadata={"description": "The item's tag. A client that has the item with this tag ignores the change."},
    )
    deleted = fields.Boolean(
        metadata={"description": "True if the item is deleted, or out of the key's limits or the filter."}
    )
    conflicted = fields.Boolean(
        metadata={"description": "True if the item has an open conflict: see `GET …/conflicts`.", "enum": [True]}
    )
    value = fields.Dict(metadata={"description": "The item, with `include=value`."})


class ChangesSchema(Schema):
    """The next changes, projects first."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {
            "changes": [
                {"type": "project", "id": 10, "etag": '"1-5a0c"', "value": {"id": 10, "name": "Pilot"}},
                {"type": "document", "id": 3, "etag": '"2-9f21"', "value": {"id": 3, "title": "Intro script"}},
                {"type": "document", "id": 4, "etag": '"3-77ab"', "deleted": True},
            ],
            "next": "Xb1c0bq3",
            "caught_up": True,
        }
    ]

    changes = fields.List(
        fields.Nested(ChangeSchema), required=True, metadata={"description": "At most `limit`; it may be empty."}
    )
    next = fields.String(required=True, metadata={"description": "The `since` of the next request."})
    caught_up = fields.Boolean(
        required=True,
        metadata={"description": "Whether there is nothing more at the moment; ask again at once if not."},
    )

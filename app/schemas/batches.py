"""The shapes of a batch: operations, and the outcome of each."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from app.domain.reservations import MAX_TEXT_BYTES
from app.errors import PreconditionFailed
from app.schemas.errors import CODES
from app.schemas.merges import VALUE, merged_member
from app.schemas.plain import PlainSchema
from app.schemas.values import MAX_TAG_CHARACTERS, Identifier, text_of
from app.store.items import MAX_ID

OPERATIONS = ("create", "replace", "patch", "delete", "merge")
MAX_OPERATIONS = 1_000
# Of a list of tags, since a batch has room for millions, which take long to compare.
MAX_TAGS_CHARACTERS = 5 * MAX_TAG_CHARACTERS
# The types of any member of an item; the item's own schema checks each value later, operation by operation.
MEMBER = {"type": ["string", "integer", "null"], "minimum": 1, "maximum": MAX_ID}


class OperationSchema(PlainSchema):
    """One operation, as if it were alone."""

    op = fields.String(
        required=True, validate=validate.OneOf(OPERATIONS), metadata={"description": "The kind of operation."}
    )
    id = Identifier(
        metadata={"description": "The id of the item; required except for create, where it must be a reserved one."}
    )
    if_match = text_of(
        0,
        MAX_TAGS_CHARACTERS,
        metadata={"description": "A tag that must be current, or several of them; not allowed for create."},
    )
    if_value = fields.Dict(
        metadata={
            "description": "All members but `id` that the item must have, beside `if_match` or instead of it.",
            "additionalProperties": MEMBER,
        },
    )
    base = fields.Dict(
        metadata={
            "description": "All members but `id` that the client started from; required for merge alone.",
            "additionalProperties": MEMBER,
        },
    )
    value = fields.Dict(
        metadata={
            "description": "The body of the same request alone; not allowed for delete.",
            "additionalProperties": MEMBER,
        },
    )


class Operations(fields.List[Any]):
    """Unparsed operations: each is parsed later by itself, so that a fault in one is not a fault of the batch."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        if not isinstance(value, list):
            raise self.make_error("invalid")
        return value


class BatchSchema(Schema):
    """Operations in their order."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {
            "operations": [
                {"op": "create", "value": {"title": "Imported"}},
                {"op": "patch", "id": 2, "value": {"content": None}, "if_match": "1-3f6081d2e1fe1c73d08d5ba9cb17a4ca"},
                {"op": "delete", "id": 3},
            ]
        }
    ]

    operations = Operations(
        fields.Nested(OperationSchema),
        required=True,
        validate=validate.Length(1, MAX_OPERATIONS),
        metadata={"description": "1 to 1,000 operations, carried out in their order."},
    )
    reservation = text_of(
        1, MAX_TEXT_BYTES, metadata={"description": "The `reservation` of the ids that creations name."}
    )
    return_ = fields.String(
        data_key="return",
        validate=validate.OneOf(["current"]),
        metadata={"description": "`current`: outcomes of 404, 409 and 412 show the item as it is now."},
    )


class CurrentSchema(Schema):
    """An item as it is now: its value, or that it is deleted, or that its value was left out."""

    etag = fields.String(required=True, metadata={"description": "The item's tag, as `If-Match` takes it."})
    value = fields.Dict(
        metadata={"description": "The item, as `GET` returns it.", "additionalProperties": MEMBER},
    )
    deleted = fields.Boolean(metadata={"description": "The item is deleted.", "enum": [True]})
    omitted = fields.Boolean(
        metadata={"description": "The values before it fill 2 MiB: read the item by itself.", "enum": [True]}
    )


class OutcomeSchema(Schema):
    """The outcome of one operation: the status that it would have had alone, and the new tag or the error."""

    status = fields.Integer(
        required=True,
        metadata={"description": "The status that the operation would have had alone.", "format": "int32"},
    )
    id = Identifier(metadata={"description": "The id of the item."})
    etag = fields.String(metadata={"description": "The item's tag, as `If-Match` takes it."})
    error = fields.String(metadata={"description": "The error's code.", "examples": CODES})
    reason = fields.String(metadata={"description": "The error's reason."})
    merged = fields.Boolean(
        metadata={"description": "The result of a merge has changes of others: see `current`.", "enum": [True]}
    )
    current = fields.Nested(
        CurrentSchema,
        metadata={"description": "The item as it is now, after merges and with `return`."},
    )
    merge = fields.Dict(
        metadata={
            "description": "A merge that clashed, by member: merged hunks, and hunks with the text of the base, of the "
            "current item and of the operation's value.",
            "additionalProperties": merged_member(
                {"required": ["current", "value"], "properties": {"current": VALUE, "value": VALUE}}
            ),
        },
    )


class OutcomesSchema(Schema):
    """An outcome for each operation, in their order. The batch is not atomic."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {
            "outcomes": [
                {"status": 201, "id": 4, "etag": '"1-60c4d699c8d166762b2d7baf86800c4f"'},
                {
                    "status": 412,
                    "id": 2,
                    "etag": '"2-8cef5c9d9a02d7a0a2ecccbccfc0ac4b"',
                    "error": PreconditionFailed.code,
                    "reason": PreconditionFailed.reason,
                },
                {"status": 204, "id": 3},
            ]
        }
    ]

    outcomes = fields.List(
        fields.Nested(OutcomeSchema), required=True, metadata={"description": "As many as there were operations."}
    )

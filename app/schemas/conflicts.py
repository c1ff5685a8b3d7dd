"""The shapes of conflicts: the versions of an item, the list of open conflicts, and resolutions."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.domain.conflicts.judgement import Reason
from app.domain.resources import DOCUMENT, PROJECT
from app.schemas.batches import MEMBER
from app.schemas.documents import NewDocumentSchema
from app.schemas.merges import VALUE, merged_member
from app.schemas.projects import NewProjectSchema
from app.schemas.values import MAX_LIMIT, MAX_TAG_CHARACTERS, BoundedList, DecimalText, Identifier, text_of

# More versions of one item than anybody resolves in one request.
MAX_TAGS = 1_000
CURRENT, OTHER = '"3-d1f2c6a0e7b94a5d8c3e2f1a0b9c8d7e"', '"3-0c9b8a7f6e5d4c3b2a1f0e9d8c7b6a5f"'


class ConflictQuery(Schema):
    """The size and position of a page of conflicts."""

    limit = DecimalText(
        MAX_LIMIT,
        metadata={
            "description": "Conflicts per page; a number above the service's maximum means the maximum.",
            "format": "int32",
            "examples": [10],
        },
    )
    cursor = fields.String(
        metadata={"description": "The cursor of an x-next, with the same limit.", "pattern": "^[A-Za-z0-9._-]+$"}
    )


class ConflictRowSchema(Schema):
    """An item with an open conflict."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {"type": DOCUMENT.name, "id": 3, "etag": CURRENT, "reason": Reason.CLASH.value}
    ]

    type = fields.String(
        required=True,
        validate=validate.OneOf([PROJECT.name, DOCUMENT.name]),
        metadata={"description": "The item's type."},
    )
    id = Identifier(required=True, metadata={"description": "The item's id."})
    etag = fields.String(required=True, metadata={"description": "The tag of its current version."})
    reason = fields.String(
        required=True, metadata={"description": "Why its versions are not merged, as in `GET …/conflicts`."}
    )


class BaseSchema(Schema):
    """The version that all versions come from."""

    etag = fields.String(required=True, metadata={"description": "Its tag."})
    value = fields.Dict(
        required=True,
        metadata={"description": "The item as it was then.", "additionalProperties": MEMBER},
    )


class VersionSchema(BaseSchema):
    """One of the versions."""

    value = fields.Dict(
        required=True, metadata={"description": "The item in this version.", "additionalProperties": MEMBER}
    )
    updated_at = fields.String(
        required=True, allow_none=True, metadata={"description": "When it was written.", "format": "date-time"}
    )
    updated_by = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The principal that wrote it; null if it was not written through the API."},
    )


class ConflictSchema(Schema):
    """The versions of an item, and their merge as far as there is one."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {
            "reason": Reason.CLASH.value,
            "pending": False,
            "base": {
                "etag": '"2-7ab1c5d9e3f8420b9c6d5e4f3a2b1c0d"',
                "value": {"id": 3, "title": "Intro", "content": "one\ntwo\n"},
            },
            "versions": [
                {
                    "etag": CURRENT,
                    "value": {"id": 3, "title": "Intro", "content": "one\nTWO\n"},
                    "updated_at": "2026-01-31T12:00:00.000000Z",
                    "updated_by": "ada",
                },
                {
                    "etag": OTHER,
                    "value": {"id": 3, "title": "Introduction", "content": "one\n2\n"},
                    "updated_at": "2026-01-31T12:00:05.000000Z",
                    "updated_by": "grace",
                },
            ],
            "merge": {
                "title": {"state": "clean", "value": "Introduction"},
                "content": {
                    "state": "clash",
                    "hunks": [
                        {"merged": "one\n"},
                        {"base": "two\n", "versions": {CURRENT: "TWO\n", OTHER: "2\n"}},
                    ],
                },
                "project_id": {"state": "clean"},
            },
        }
    ]

    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "Why the versions are not merged: `clash`, `no_base`, `orphan` or `loop`. Null without a "
            "conflict, and while it is `pending`.",
            "examples": [reason.value for reason in Reason],
        },
    )
    pending = fields.Boolean(
        required=True, metadata={"description": "Whether the versions will be merged, or are not compared yet."}
    )
    base = fields.Nested(
        BaseSchema,
        required=True,
        allow_none=True,
        metadata={"description": "The version that all versions come from, if it is one and is known."},
    )
    versions = fields.List(
        fields.Nested(VersionSchema),
        required=True,
        metadata={"description": "Those that the key may read, the current one first. Without a conflict, one."},
    )
    merge = fields.Dict(
        required=True,
        metadata={
            "description": "Each member: merged, or the hunks that it consists of. Empty without a base, and for a key "
            "that may not read all versions.",
            "additionalProperties": merged_member({"additionalProperties": VALUE}),
        },
    )


class ResolutionSchema(Schema):
    """The body that resolves a conflict: `supersedes`, and either `keep` or `value`."""

    keep = text_of(1, MAX_TAG_CHARACTERS, metadata={"description": "The tag of the version that stays."})
    supersedes = BoundedList(
        text_of(1, MAX_TAG_CHARACTERS),
        0,
        MAX_TAGS,
        required=True,
        metadata={"description": "The tags of all versions that the client has seen, the one to keep among them."},
    )

    @validates_schema
    def check_choice(self, data: dict[str, Any], **_: object) -> None:
        """Raise unless there is exactly one of the two."""
        if ("keep" in data) == ("value" in data):
            raise ValidationError("Give either keep or value.", "keep")


class DocumentResolutionSchema(ResolutionSchema):
    """The resolution of a document's conflict."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {"keep": CURRENT, "supersedes": [CURRENT, OTHER]},
        {
            "value": {"title": "Introduction", "content": "one\ntwo\n", "project_id": 10},
            "supersedes": [CURRENT, OTHER],
        },
    ]

    value = fields.Nested(
        NewDocumentSchema, metadata={"description": "The document that takes the place of all versions."}
    )


class ProjectResolutionSchema(ResolutionSchema):
    """The resolution of a project's conflict."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {"value": NewProjectSchema.EXAMPLES[0], "supersedes": [CURRENT, OTHER]},
        {"keep": CURRENT, "supersedes": [CURRENT, OTHER]},
    ]

    value = fields.Nested(
        NewProjectSchema, metadata={"description": "The project that takes the place of all versions."}
    )

"""The shapes of versions, and of the requests that list and restore them."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, fields

from app.schemas.documents import DocumentSchema
from app.schemas.pages import CursorQuery
from app.schemas.projects import ProjectSchema
from app.schemas.values import MAX_TAG_CHARACTERS, text_of

# A tag with its quotes or without them. The coding that a proxy may add is accepted as well.
TAG_PATTERN = r'^((W/)?"[1-9][0-9]{0,15}-[0-9a-f]{32}"|[1-9][0-9]{0,15}-[0-9a-f]{32})$'


class VersionsQuery(CursorQuery):
    """The size and position of a page of versions."""

    class Meta:
        """Versions have one order: the newest first."""

        exclude = ("order",)


class VersionSchema(Schema):
    """One version of an item: with its `value`, or `deleted`, or `lost`."""

    etag = fields.String(required=True, metadata={"description": "The tag of the version, with its quotes."})
    updated_at = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "When it was written, null if that is not known.", "format": "date-time"},
    )
    updated_by = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The principal that wrote it, `merge` for a merge, null if it did not come through the API."
        },
    )
    deleted = fields.Boolean(metadata={"description": "True if this version is the deletion of the item."})
    lost = fields.Boolean(metadata={"description": "True if the database compacted this version before it was kept."})


class DocumentVersionSchema(VersionSchema):
    """One version of a document."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {
            "etag": '"2-9f2e0c74b1d2a6f58c3de0917b64a2f1"',
            "updated_at": "2026-11-28T12:30:00.000000Z",
            "updated_by": "b1946ac92492d234",
            "value": {"id": 3, "title": "New analysis", "content": "step1: load data"},
        },
        {
            "etag": '"1-5a0c44d1e2b3f4a5968778695a4b3c2d"',
            "updated_at": "2026-11-28T12:00:00.000000Z",
            "updated_by": "b1946ac92492d234",
            "value": {"id": 3, "title": "New analysis"},
        },
    ]

    value = fields.Nested(DocumentSchema, metadata={"description": "The document as it was."})


class ProjectVersionSchema(VersionSchema):
    """One version of a project."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {
            "etag": '"1-77ab01c2d3e4f5061728394a5b6c7d8e"',
            "updated_at": "2026-11-28T12:00:00.000000Z",
            "updated_by": "b1946ac92492d234",
            "value": {"id": 10, "name": "Pilot"},
        }
    ]

    value = fields.Nested(ProjectSchema, metadata={"description": "The project as it was."})


class RestoreSchema(Schema):
    """The body that restores a version."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [{"version": "1-5a0c44d1e2b3f4a5968778695a4b3c2d"}]

    version = text_of(
        1,
        MAX_TAG_CHARACTERS,
        required=True,
        metadata={"description": "The tag of the version, with or without its quotes.", "pattern": TAG_PATTERN},
    )

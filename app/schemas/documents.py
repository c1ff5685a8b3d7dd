"""The shape of a document and of the queries that list documents."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields

from app.domain.resources import DOCUMENT
from app.schemas.pages import PageQuery
from app.schemas.plain import PlainSchema
from app.schemas.values import DecimalText, Identifier, title_text
from app.store.items import MAX_ID


class NewDocumentSchema(PlainSchema):
    """The body that creates a document."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {"title": "New analysis", "content": "step1: load data\nstep2: transform\nstep3: visualize"}
    ]

    title = title_text(required=True, metadata={"description": "1 to 300 characters."})
    content = fields.String(metadata={"description": "The text of the script, note or asset."})
    project_id = Identifier(metadata={"description": "The id of an existing project."})


class DocumentPatchSchema(PlainSchema):
    """A merge patch of a document; null removes a member."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [{"title": "Renamed analysis", "content": None}]

    title = title_text(metadata={"description": "The new title, of 1 to 300 characters."})
    content = fields.String(allow_none=True, metadata={"description": "The new text; null removes it."})
    project_id = Identifier(
        allow_none=True, metadata={"description": "The id of another project; null takes the document out of any."}
    )


class DocumentSchema(NewDocumentSchema):
    """A document in an answer; a member that was never set is absent."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {"id": 1, "title": "Intro script", "content": "print('Hello from Dreamscript')"},
        {"id": 2, "title": "Data processing pipeline", "content": "step1 -> step2 -> step3"},
        {"id": 3, **NewDocumentSchema.EXAMPLES[0]},
    ]

    id = Identifier(required=True, metadata={"description": "Assigned by the service and never reused."})

    class Meta:
        """The order of members in answers."""

        fields = ("id", *DOCUMENT.members)


class DocumentPageQuery(PageQuery):
    """The query of a listing of documents."""

    project_id = DecimalText(MAX_ID, metadata={"description": "Only documents in this project.", "examples": [10]})

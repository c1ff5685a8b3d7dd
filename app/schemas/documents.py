"""The shape of a document and of the queries that list documents."""

from __future__ import annotations

from marshmallow import Schema, fields

from app.domain.kinds import MAX_ID
from app.schemas.pages import PageQuery
from app.schemas.values import DecimalText, Identifier, title


class NewDocumentSchema(Schema):
    """What a client sends to create a document."""

    title = title(required=True)
    content = fields.String()
    project_id = Identifier(metadata={"description": "The id of an existing project."})


class DocumentSchema(NewDocumentSchema):
    """A document as it is answered; a member that was never set is absent."""

    id = Identifier(required=True)

    class Meta:
        """The guide's order of members."""

        fields = ("id", "title", "content", "project_id")


class DocumentPageQuery(PageQuery):
    """The query of a listing of documents."""

    project_id = DecimalText(MAX_ID, metadata={"description": "Only documents in this project."})

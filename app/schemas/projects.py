"""The shape of a project."""

from __future__ import annotations

from marshmallow import Schema, fields

from app.schemas.values import Identifier, title


class NewProjectSchema(Schema):
    """What a client sends to create a project."""

    name = title(required=True)
    description = fields.String()


class ProjectSchema(NewProjectSchema):
    """A project as it is answered; a member that was never set is absent."""

    id = Identifier(required=True)

    class Meta:
        """The guide's order of members."""

        fields = ("id", "name", "description")

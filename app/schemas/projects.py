"""The shape of a project."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields

from app.domain.resources import PROJECT
from app.schemas.plain import PlainSchema
from app.schemas.values import Identifier, title_text


class NewProjectSchema(PlainSchema):
    """The body that creates a project."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {"name": "Analytics experiments", "description": "Ad-hoc analysis and dashboards."}
    ]

    name = title_text(required=True, metadata={"description": "1 to 300 characters."})
    description = fields.String(metadata={"description": "The purpose of the project."})


class ProjectPatchSchema(PlainSchema):
    """A merge patch of a project; null removes a member."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [{"name": "Renamed project"}]

    name = title_text(metadata={"description": "The new name, of 1 to 300 characters."})
    description = fields.String(allow_none=True, metadata={"description": "The new purpose; null removes it."})


class ProjectSchema(NewProjectSchema):
    """A project in an answer; a member that was never set is absent."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [
        {"id": 10, "name": "Onboarding demos", "description": "Example scripts used in the onboarding flow."},
        {"id": 11, "name": "Internal tooling", "description": "Automation scripts for internal teams."},
        {"id": 12, **NewProjectSchema.EXAMPLES[0]},
    ]

    id = Identifier(required=True, metadata={"description": "Assigned by the service and never reused."})

    class Meta:
        """The order of members in answers."""

        fields = ("id", *PROJECT.members)

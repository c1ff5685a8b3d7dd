"""Items as clients read them: rendered JSON beside the members that decide who may read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.domain.resource_types import ResourceType


class RenderedItem(NamedTuple):
    """One revision of an item. ``body`` is its JSON in UTF-8, without a line end."""

    public_id: int
    revision: str
    project_id: int | None
    body: bytes

    @classmethod
    def of(cls, resource_type: ResourceType, fields: Mapping[str, Any]) -> RenderedItem:
        """Render a stored item."""
        return cls(fields["id"], fields["_rev"], fields.get("project_id"), resource_type.body(fields))

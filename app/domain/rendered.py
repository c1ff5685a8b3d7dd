"""Items as clients read them: rendered JSON beside the members that decide who may read it."""

from __future__ import annotations

from typing import NamedTuple

from app.domain.resource_types import ResourceType
from app.store.items import StoredItem


class RenderedItem(NamedTuple):
    """One revision of an item. ``body`` is its JSON in UTF-8, without a line end."""

    public_id: int
    revision: str
    project_id: int | None
    body: bytes

    @classmethod
    def of(cls, resource_type: ResourceType, item: StoredItem) -> RenderedItem:
        """Render a stored item."""
        return cls(item.public_id, item.revision, item.project_id, resource_type.body(item.fields))

"""The first sync of a client: the listing of all that it sees, by id, projects first, without tombstones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from app.domain.changes.reading import Capacity
from app.domain.changes.visibility import Shown, View
from app.domain.conflicts.listing import ConflictList
from app.domain.item_service import ItemService
from app.domain.listing.pages import IndexRow, ListQuery
from app.domain.resources import PROJECT, RenderedItem, ResourceType


class ListingPart(NamedTuple):
    """A part of the listing, and where the next part begins; None at the end."""

    changes: list[Shown]
    listing: tuple[str, int] | None


class FirstSync:
    """Lists items by the pages of `GET /projects` and `GET /documents`, at their cost."""

    def __init__(self, services: Mapping[ResourceType, ItemService], conflict_list: ConflictList) -> None:
        self._services, self._conflict_list = services, conflict_list

    def read(
        self,
        view: View,
        types: Sequence[ResourceType],
        listing: tuple[str, int],
        capacity: Capacity,
        *,
        with_values: bool,
    ) -> ListingPart:
        """Return items of ``types`` from ``listing`` on, up to ``capacity``, and count them.

        ``listing`` is the name of a resource type, and the id before the next item. Raises Unavailable.
        """
        changes: list[Shown] = []
        name, position = listing
        for resource_type in types[[each.name for each in types].index(name) :]:
            if capacity.is_used_up:
                return ListingPart(changes, (resource_type.name, position))
            page, next_position = self._page(view, resource_type, position, capacity, with_values=with_values)
            for change in page:
                capacity.use(change)
            changes += page
            if next_position is not None:
                return ListingPart(changes, (resource_type.name, next_position))
            position = 0
        return ListingPart(changes, None)

    def _page(
        self, view: View, resource_type: ResourceType, position: int, capacity: Capacity, *, with_values: bool
    ) -> tuple[list[Shown], int | None]:
        """Return a page of one type, and the id after which the next one begins."""
        query, service = _query(view, resource_type, position, capacity.changes), self._services[resource_type]
        page = service.page(view.access, query)
        if with_values:
            page = service.load(view.access, page, capacity.bytes)
            listed = [_shown(resource_type, item, item.body) for item in page.items]
        else:
            listed = [_shown(resource_type, row) for row in page.rows]
        conflicted = self._conflict_list.conflicted_among(resource_type, [each.public_id for each in listed])
        if conflicted:
            listed = [replace(each, is_conflicted=each.public_id in conflicted) for each in listed]
        return listed, page.last_position


def _query(view: View, resource_type: ResourceType, position: int, limit: int) -> ListQuery:
    if view.project_id is None:
        return ListQuery(limit, position=position)
    if resource_type is PROJECT:
        return ListQuery(limit, position=position, ids=(view.project_id,))
    return ListQuery(limit, position=position, project_id=view.project_id)


def _shown(resource_type: ResourceType, item: IndexRow | RenderedItem, value: bytes | None = None) -> Shown:
    return Shown(resource_type, item.public_id, item.revision, value=value)

"""Reads the rows of the views, from which pages are made without reading any body."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from app.domain.listing.pages import IndexRow, ListQuery, Page, cut
from app.domain.resources import ResourceType
from app.store import Database
from app.store.items import digits

# Ids that are looked up in one request after the first, which reads a page's worth.
READ_KEYS = 200


class Index:
    """The rows of all items of one type, by id and by project. Every method raises Unavailable."""

    def __init__(self, resource_type: ResourceType, items: Database) -> None:
        self._resource_type, self._items = resource_type, items

    def is_empty(self, project_id: int) -> bool:
        """Return whether a project has no documents."""
        return not self.range(ListQuery(limit=0, project_id=project_id))

    def page(self, query: ListQuery) -> Page:
        """Return the rows of a page, in one request to the database except for long lists of ids."""
        rows = self.range(query) if query.ids is None else islice(self.rows_by_id(query), query.limit + 1)
        return cut(list(rows), query)

    def rows_by_id(self, query: ListQuery) -> Iterator[IndexRow]:
        """Yield the rows of ``query.ids`` that exist: a page's worth in one request, more in requests of READ_KEYS."""
        keys = [self._view_key(query, public_id) for public_id in query.remaining_ids()]
        count = query.limit + 1
        while keys:
            rows = self._items.view("listing", self._view(query), keys=keys[:count])
            yield from (IndexRow.of(self._resource_type, row) for row in rows)
            keys, count = keys[count:], READ_KEYS

    def row_at_or_before(self, public_id: int) -> IndexRow | None:
        """Return the row of an id or, if it does not exist, of the one before it: one row in either case."""
        key = self._resource_type.doc_id(public_id)
        rows = self._items.view("listing", "by_id", startkey=key, descending=True, limit=1)
        return IndexRow.of(self._resource_type, rows[0]) if rows else None

    def range(self, query: ListQuery) -> list[IndexRow]:
        """Return the rows of a page and the one after it, in one request, whatever ``query.ids`` says."""
        start, end = (self._view_key(query, bound) for bound in query.bounds)
        if query.descending:
            start, end = end, start
        rows = self._items.view(
            "listing",
            self._view(query),
            startkey=start,
            endkey=end,
            descending=query.descending,
            limit=query.limit + 1,
        )
        return [IndexRow.of(self._resource_type, row) for row in rows]

    @staticmethod
    def _view(query: ListQuery) -> str:
        return "by_id" if query.project_id is None else "by_project"

    def _view_key(self, query: ListQuery, public_id: int) -> str | list[str]:
        key = self._resource_type.doc_id(public_id)
        return key if query.project_id is None else [digits(query.project_id), key]

"""Pages of a listing: the query for a page, its rows in the views, its ETag, and where the next one begins.

A page by id that is not filtered never waits for an index (docs/decisions/listing.md).
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import islice
from typing import Any, Literal, NamedTuple

from app.domain.resources import ResourceType
from app.errors import Unavailable
from app.request_context import remaining
from app.store import Database, Row
from app.store.items import MAX_ID, digits

log = logging.getLogger("dreamscript.listing")

Order = Literal["asc", "desc"]
# Ids that are looked up in one request after the first, which reads a page's worth.
READ_KEYS = 200
# An index that is up to date answers in a hundredth of this, and one page by id waits no longer. It is also at most
# this share of the time that the request has left.
VIEW_SECONDS, VIEW_SHARE = 0.25, 0.25
# A view that has not answered in time is not asked again before this, since its index has to catch up.
CATCH_UP_SECONDS = 5.0


@dataclass(frozen=True)
class ListQuery:
    """A request for at most ``limit`` items after ``position``, in ``order`` of their ids.

    ``ids`` and ``project_id`` filter the items, if they are set.
    """

    limit: int
    order: Order = "asc"
    position: int | None = None
    ids: tuple[int, ...] | None = None
    project_id: int | None = None

    @property
    def descending(self) -> bool:
        """Whether higher ids come first."""
        return self.order == "desc"

    @property
    def bounds(self) -> tuple[int, int]:
        """The lowest and the highest id that can be on the page."""
        if self.position is None:
            return 0, MAX_ID
        return (0, self.position - 1) if self.descending else (self.position + 1, MAX_ID)

    def remaining_ids(self) -> list[int]:
        """Return the ``ids`` after ``position``, each once, in order."""
        low, high = self.bounds
        return sorted({i for i in self.ids or () if low <= i <= high}, reverse=self.descending)


class IndexRow(NamedTuple):
    """A row of a view: an item's public id, and its revision when it was indexed."""

    public_id: int
    revision: str
    project_id: int | None = None

    @classmethod
    def of(cls, resource_type: ResourceType, row: Row) -> IndexRow:
        """Return the row of a view of ``resource_type``."""
        return cls(resource_type.public_id(row.id), row.value["rev"], row.value.get("project_id"))


@dataclass(frozen=True)
class Page:
    """The index rows of a page, in order, and the id after which the next page begins if there is one.

    ``project_id`` is the filter of its query, and ``items`` are the rendered items once they have been read. A page of
    large items ends early: only the first ``row_count`` of its rows are on it, and the next page begins after them.
    """

    rows: tuple[IndexRow, ...]
    next_position: int | None
    project_id: int | None = None
    items: tuple[Any, ...] = field(default=(), repr=False)
    row_count: int | None = None

    @property
    def tag(self) -> str:
        """The ETag: a digest of the rows and of whether there is a next page.

        A page that ends early appends its number of rows, so that a 304 can repeat `x-next` without reading bodies.
        """
        content = [[[row.public_id, row.revision] for row in self.rows], self.next_position is not None]
        digest = sha256(json.dumps(content).encode()).hexdigest()[:32]
        return digest if self.row_count is None else f"{digest}.{self.row_count}"

    @property
    def last_position(self) -> int | None:
        """The id after which the next page begins, None on the last page."""
        return self.next_position if self.row_count is None else self.rows[self.row_count - 1].public_id

    def known_as(self, tags: Iterable[str]) -> Page | None:
        """Return this page, ended as one of ``tags`` describes it; None if none does.

        `*` describes no page: only its items show where a page of large ones ends.
        """
        whole = self.tag
        for tag in tags:
            if tag == whole:
                return self
            digest, _, count = tag.rpartition(".")
            if digest == whole and re.fullmatch("[1-9][0-9]{0,8}", count, re.ASCII) and int(count) < len(self.rows):
                return replace(self, row_count=int(count))
        return None


def cut(rows: Sequence[IndexRow], query: ListQuery) -> Page:
    """Return the page at the start of ``rows``, which have one more than ``query.limit`` if there is a next page."""
    limit = query.limit
    return Page(tuple(rows[:limit]), rows[limit - 1].public_id if len(rows) > limit else None, query.project_id)


class Index:
    """The rows of all items of one type, by id and by project. Every method raises Unavailable.

    ``clock`` counts seconds.
    """

    def __init__(
        self, resource_type: ResourceType, items: Database, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._resource_type, self._items, self._clock = resource_type, items, clock
        # Until this moment of the clock, the index by id is not asked.
        self._lags_until = 0.0

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
        """Return the rows of a page and the one after it; ``query.ids`` is ignored.

        Those of a project wait for their index until the deadline, since no other source has them.
        """
        if query.project_id is not None:
            return self._range_in_view(query)
        if self._clock() >= self._lags_until:
            try:
                return self._range_in_view(query, _view_seconds())
            except Unavailable:
                log.warning("an index lags or fails: %ss are listed without it", self._resource_type.name)
                self._lags_until = self._clock() + CATCH_UP_SECONDS
        start, end = map(self._resource_type.doc_id, _first_to_last(query))
        revisions = self._items.ids(start, end, limit=query.limit + 1, descending=query.descending)
        return [IndexRow(self._resource_type.public_id(each.id), each.rev) for each in revisions]

    def _range_in_view(self, query: ListQuery, seconds: float | None = None) -> list[IndexRow]:
        start, end = (self._view_key(query, bound) for bound in _first_to_last(query))
        rows = self._items.view(
            "listing",
            self._view(query),
            startkey=start,
            endkey=end,
            descending=query.descending,
            limit=query.limit + 1,
            seconds=seconds,
        )
        return [IndexRow.of(self._resource_type, row) for row in rows]

    @staticmethod
    def _view(query: ListQuery) -> str:
        return "by_id" if query.project_id is None else "by_project"

    def _view_key(self, query: ListQuery, public_id: int) -> str | list[str]:
        key = self._resource_type.doc_id(public_id)
        return key if query.project_id is None else [digits(query.project_id), key]


def _first_to_last(query: ListQuery) -> tuple[int, int]:
    """Return the bounds of a page in the order of its listing."""
    low, high = query.bounds
    return (high, low) if query.descending else (low, high)


def _view_seconds() -> float:
    """Return how long a page waits for a view that it can do without."""
    seconds_left = remaining()
    return VIEW_SECONDS if seconds_left is None else min(VIEW_SECONDS, VIEW_SHARE * seconds_left)

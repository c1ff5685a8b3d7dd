"""Lists the items with open conflicts that a key may read, in pages.

A view has the items with several live leaves. Only reading them shows whether they can be merged,
and which projects they are in. So one request reads a bounded number of items, and its page may be short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from app.domain.access import Access
from app.domain.changes.reading import Budget
from app.domain.conflicts.judgement import Judgement, Reason
from app.domain.item_service import ItemService
from app.domain.listing.pages import VIEW_SECONDS, IndexRow, ListQuery, Page
from app.domain.resources import DOCUMENT, PROJECT, ResourceType
from app.errors import Unavailable
from app.store import Database, Row
from app.store.items import MAX_ID

# Returns by `_id` the judgements of those items that exist.
JudgeMany = Callable[[ResourceType, Sequence[str]], Mapping[str, Judgement]]
# The types in the order of the list, with the scopes that show them.
TYPE_SCOPES = {PROJECT: ("projects:read", "operate"), DOCUMENT: ("documents:read", "operate")}
# Items that are read together, and at most in one request.
READ_ITEMS, MAX_READ_ITEMS = 10, 1_000


class ConflictRow(NamedTuple):
    """An item with an open conflict; ``revision`` is its first version that the key may read."""

    resource_type: ResourceType
    public_id: int
    revision: str
    reason: Reason

    @property
    def position(self) -> int:
        """The place in the list as one number: projects come before documents, each by id."""
        return _position(self.resource_type, self.public_id)


class ConflictList:
    """The open conflicts of all types. ``databases`` have the views."""

    def __init__(
        self,
        services: Mapping[ResourceType, ItemService],
        databases: Mapping[ResourceType, Database],
        judge: JudgeMany,
    ) -> None:
        self._services, self._databases, self._judge = services, databases, judge

    def has(self, resource_type: ResourceType, public_id: int) -> bool:
        """Return whether an item has several live leaves. Waits for the index. Raises Unavailable."""
        doc_id = resource_type.doc_id(public_id)
        return bool(self._databases[resource_type].view("conflicts", "open", keys=[doc_id]))

    def conflicted_among(self, resource_type: ResourceType, public_ids: Sequence[int]) -> set[int]:
        """Return those of these ids whose item may have an open conflict, without waiting for an index that lags.

        It judges the first ones, within half of the request's time; the others are presumed to be in conflict, and so
        are those after the first MAX_READ_ITEMS rows of the index.
        """
        if not public_ids:
            return set()
        among, budget, conflicted = set(public_ids), Budget(), set[int]()
        rows = self._view_rows(resource_type, min(public_ids), max(public_ids))
        branched = [resource_type.public_id(row.id) for row in rows]
        if len(branched) == MAX_READ_ITEMS:
            conflicted |= {each for each in among if each > branched[-1]}
        for public_id in branched:
            if public_id not in among:
                continue
            doc_id = resource_type.doc_id(public_id)
            judgement = None if budget.is_spent else self._judge(resource_type, [doc_id]).get(doc_id)
            if judgement is None or judgement.reason is not None or not judgement.writes:
                conflicted.add(public_id)
        return conflicted

    def _view_rows(self, resource_type: ResourceType, low: int, high: int) -> list[Row]:
        start, end = resource_type.doc_id(low), resource_type.doc_id(high)
        view = partial(self._databases[resource_type].view, "conflicts", "open", startkey=start, endkey=end)
        try:
            return view(limit=MAX_READ_ITEMS, seconds=VIEW_SECONDS)
        except Unavailable:
            return view(limit=MAX_READ_ITEMS, stale_ok=True)

    def page(self, access: Access, query: ListQuery) -> Page:
        """Return a page of conflicts, whose items are ConflictRows. Waits for the indexes. Raises Unavailable.

        It ends early after MAX_READ_ITEMS items or half of the request's time.
        """
        rows: list[ConflictRow] = []
        position, count, budget = query.position or 0, 0, Budget()
        for resource_type, public_ids in self._parts(access, position):
            if count >= MAX_READ_ITEMS or (count and budget.is_spent):
                return _page(rows, query.limit, position)
            rows += self._rows(access, resource_type, public_ids)
            if len(rows) > query.limit:
                return _page(rows, query.limit, rows[query.limit - 1].position)
            position, count = _position(resource_type, public_ids[-1]), count + len(public_ids)
        return _page(rows, query.limit, None)

    def _parts(self, access: Access, position: int) -> Iterator[tuple[ResourceType, Sequence[int]]]:
        """Yield the ids of items with several live leaves after ``position``, in parts that are read together."""
        for resource_type, scopes in TYPE_SCOPES.items():
            public_id = position - _position(resource_type, 0)
            if access.scopes.isdisjoint(scopes) or public_id > MAX_ID:
                continue
            start, is_last = max(public_id, 0), False
            while not is_last:
                rows = self._databases[resource_type].view(
                    "conflicts",
                    "open",
                    startkey=resource_type.doc_id(start + 1),
                    endkey=resource_type.last,
                    limit=READ_ITEMS,
                )
                public_ids, is_last = [resource_type.public_id(row.id) for row in rows], len(rows) < READ_ITEMS
                if public_ids:
                    start = public_ids[-1]
                    yield resource_type, public_ids

    def _rows(self, access: Access, resource_type: ResourceType, public_ids: Sequence[int]) -> Iterator[ConflictRow]:
        service, doc_ids = self._services[resource_type], [resource_type.doc_id(each) for each in public_ids]
        judgements = self._judge(resource_type, doc_ids)
        for public_id, doc_id in zip(public_ids, doc_ids, strict=True):
            judgement = judgements.get(doc_id)
            if judgement is None or judgement.reason is None:
                continue
            visible = (leaf for leaf in judgement.versions if service.admits(access, leaf.item))
            if version := next(visible, None):
                yield ConflictRow(resource_type, public_id, version.revision, judgement.reason)


def _position(resource_type: ResourceType, public_id: int) -> int:
    return (list(TYPE_SCOPES).index(resource_type)) * MAX_ID + public_id


def _page(rows: Sequence[ConflictRow], limit: int, next_position: int | None) -> Page:
    """Return the page of the first ``limit`` rows. Its tag covers the types and reasons."""
    items = tuple(rows[:limit])
    states = (f"{each.resource_type.name} {each.revision} {each.reason}" for each in items)
    index_rows = tuple(IndexRow(each.public_id, state) for each, state in zip(items, states, strict=True))
    return Page(index_rows, next_position, items=items)

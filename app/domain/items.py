"""The items of one resource type: single ones, many of them, and their writes."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

from app.domain.conflicts.item_conflicts import ItemConflicts
from app.domain.item_updates import Resolved, UpdateBuilder
from app.domain.listing.pages import Index, IndexRow, Page
from app.domain.resources import RenderedItem, ResourceType
from app.errors import Conflict, ServiceError
from app.store import Database
from app.store.claimed_ids import Allocator
from app.store.item_store import ItemStore, LostRace
from app.store.items import ANY, Change, Condition, Fields, StoredItem, Update, WriteId

log = logging.getLogger("dreamscript.items")

# Ids in a row that may turn out to be taken before a creation fails.
MAX_TAKEN_IDS = 5
# A page ends once its bodies reach this size together.
MAX_PAGE_BYTES = 2**23
# Items that are read at once while their size is not known; one has up to 7 MB.
FIRST_READ_ROWS = 50


class Items(UpdateBuilder, ABC):
    """All items of one resource type. All of it raises Unavailable."""

    def __init__(
        self, resource_type: ResourceType, database: Database, allocator: Allocator, conflicts: ItemConflicts
    ) -> None:
        super().__init__(resource_type)
        self._allocator, self.conflicts = allocator, conflicts
        self.index, self._store = Index(resource_type, database), ItemStore(database)

    def get(self, public_id: int) -> StoredItem:
        """Return one item. Raises NotFound."""
        item = self.find(public_id)
        if item is None:
            raise self.absent(public_id)
        return item

    def render(self, item: StoredItem) -> RenderedItem:
        """Return an item as clients read it."""
        return RenderedItem.of(self.resource_type, item, is_conflicted=self.conflicts.state(item).is_open)

    @abstractmethod
    def read(self, public_id: int, *, bypass_cache: bool = False) -> RenderedItem:
        """Return an item as clients read it. Raises NotFound."""

    @abstractmethod
    def read_rows(self, rows: Sequence[IndexRow]) -> Sequence[RenderedItem]:
        """Return the items of index rows as clients read them, in order, less those that were deleted since."""

    def load(self, page: Page, admits: Callable[[RenderedItem], bool], max_bytes: int | None = None) -> Page:
        """Return ``page`` with those of its items that ``admits`` accepts.

        The page ends early at about ``max_bytes``, by default MAX_PAGE_BYTES.

        An item that changed after its row was read is listed as it is now. One that was deleted, or that left the
        listed project, is left out. So the page's tag always describes the served items.
        """
        items: list[RenderedItem] = []
        size, end, max_bytes = 0, len(page.rows), MAX_PAGE_BYTES if max_bytes is None else max_bytes
        places = {row.public_id: place for place, row in enumerate(page.rows, 1)}
        for item in self._read_in_steps(page.rows):
            if page.project_id in (None, item.project_id) and admits(item):
                items.append(item)
                size += len(item.body)
                if size >= max_bytes:
                    end = places[item.public_id]
                    break
        rows = (*(IndexRow(item.public_id, item.revision) for item in items), *page.rows[end:])
        row_count = len(items) if end < len(page.rows) else None
        return replace(page, rows=rows, items=tuple(items), row_count=row_count)

    def _read_in_steps(self, rows: Sequence[IndexRow]) -> Iterator[RenderedItem]:
        """Yield the items of ``rows``; the size of those read decides how many are read in the next request."""
        start, count = 0, FIRST_READ_ROWS
        while start < len(rows):
            items = self.read_rows(rows[start : start + count])
            yield from items
            start += count
            count = max(1, MAX_PAGE_BYTES * len(items) // (sum(len(item.body) for item in items) or 1))

    def find(self, public_id: int) -> StoredItem | None:
        """Return one item, None if it is absent or deleted."""
        return self._store.find(self.resource_type.doc_id(public_id))

    def find_many(self, public_ids: Sequence[int]) -> dict[int, StoredItem]:
        """Return the existing items by id."""
        items = self._store.find_many([self.resource_type.doc_id(public_id) for public_id in public_ids])
        return {item.public_id: item for item in items.values()}

    def find_each(self, public_ids: Sequence[int]) -> Iterator[StoredItem]:
        """Yield the existing items; the size of those read decides how many are read in the next request."""
        start, count = 0, FIRST_READ_ROWS
        while start < len(public_ids):
            items = self.find_many(public_ids[start : start + count]).values()
            yield from items
            start += count
            size = sum(len(self.resource_type.body(item.fields)) for item in items)
            count = max(1, MAX_PAGE_BYTES * len(items) // size) if size else FIRST_READ_ROWS

    def find_deleted(self, public_ids: Sequence[int]) -> dict[int, StoredItem]:
        """Return the tombstones of deleted items by id."""
        tombstones = self._store.find_deleted([self.resource_type.doc_id(public_id) for public_id in public_ids])
        # One made in Fauxton holds nothing, not even its id.
        ids = {doc_id: self.resource_type.public_id(doc_id) for doc_id in tombstones}
        return {
            public_id: replace(tombstones[doc_id], fields={**tombstones[doc_id].fields, "id": public_id})
            for doc_id, public_id in ids.items()
        }

    def reserve(self, count: int) -> tuple[int, ...]:
        """Return ``count`` ids that nobody else has been or will be given."""
        return self._allocator.next_ids(count)

    def create(self, compose: Callable[[], Fields], updated_by: str, write_id: WriteId) -> StoredItem:
        """Store a new item under the id that is reserved for the write, or under the next one.

        ``updated_by`` is the principal, and ``compose`` returns the members. Raises as ``compose`` and
        ItemStore.create raise. A taken id means that `-meta` is older than the items, which happens when one is
        restored from a backup without the other; the next ids are tried.
        """
        compose = cache(compose)
        if not write_id.ids:
            # A refused item uses up no id.
            compose()
        for public_id in write_id.ids or (self._allocator.next_id() for _ in range(MAX_TAKEN_IDS)):
            try:
                return self._store.create(self.creation(public_id, compose, updated_by, write_id))
            except LostRace:
                self.log_taken(public_id)
        raise Conflict("No free id was found; try again.")

    def log_taken(self, public_id: int) -> None:
        """Log that an id which was reserved belongs to another item already."""
        log.error("id already taken: is -meta older than -%s?", self.resource_type.database, extra={"id": public_id})

    def update(
        self,
        public_id: int,
        compose: Callable[[StoredItem], Fields | None],
        updated_by: str | None,
        condition: Condition = ANY,
        write_id: WriteId | None = None,
    ) -> Change:
        """Replace an item's members by those that ``compose`` returns for the current item; None leaves it as it is.

        A write that restores a state has no principal of its own: ``updated_by`` is None, and among the members.

        Raises NotFound, PreconditionFailed, and as ``compose`` and ItemStore.update raise.
        """
        return self._store.update(self.replacement(public_id, compose, updated_by, condition, write_id or WriteId()))

    def delete(
        self,
        public_id: int,
        updated_by: str | None,
        condition: Condition = ANY,
        check: Callable[[StoredItem], None] = lambda _: None,
        write_id: WriteId | None = None,
    ) -> None:
        """Leave a tombstone that keeps the item's type, id and projects. Raises what ``check`` and ``update`` raise."""
        self._store.update(self.deletion(public_id, check, updated_by, condition, write_id or WriteId()))

    def resolve(
        self,
        public_id: int,
        compose: Callable[[StoredItem], Resolved],
        updated_by: str,
        condition: Condition,
        write_id: WriteId,
    ) -> Change:
        """Store a version that supersedes others, which stay until they are deleted. Raises as ``update``."""
        return self._store.update(self.resolution(public_id, compose, updated_by, condition, write_id))

    def deletion(
        self,
        public_id: int,
        check: Callable[[StoredItem], None],
        updated_by: str | None,
        condition: Condition,
        write_id: WriteId,
    ) -> Update:
        """Return the deletion of an item. Delete its other live leaves first: one of them would become the item."""
        deletion = super().deletion(public_id, check, updated_by, condition, write_id)

        def compose(item: StoredItem | None) -> Fields | None:
            fields = deletion.compose(item)
            if item is not None and item.conflicts:
                tombstone = partial(self.tombstone, updated_by=updated_by)
                self.conflicts.supersede(item.doc_id, item.conflicts, tombstone)
            return fields

        return replace(deletion, compose=compose)

    def restore(
        self,
        version: StoredItem,
        compose: Callable[[StoredItem], Fields],
        updated_by: str,
        condition: Condition,
        write_id: WriteId,
    ) -> Change:
        """Give an item the content of an earlier version. Raises NotFound, PreconditionFailed and as ``update``."""
        tombstones = partial(self.find_deleted, [version.public_id])
        return self._store.update(self.restoration(version, tombstones, compose, updated_by, condition, write_id))

    def update_many(
        self, updates: Sequence[Update], items: Mapping[str, StoredItem | None]
    ) -> dict[str, Change | ServiceError]:
        """Carry out updates of different items, as ItemStore.update_many does."""
        return self._store.update_many(updates, items)

    def find_done(self, write_ids: Mapping[int, Sequence[WriteId]]) -> dict[WriteId, Change | ServiceError]:
        """Return the results of an earlier run of writes by public id, as ItemStore.find_done does."""
        return self._store.find_done({self.resource_type.doc_id(each): ids for each, ids in write_ids.items()})

"""Items whose newest bodies stay in memory, so that unchanged ones are not read from the database again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import NamedTuple

from cachetools import LRUCache

from app.cache.validity import CacheValidator
from app.domain.conflicts.item_conflicts import ItemConflicts
from app.domain.items import Items
from app.domain.listing.pages import IndexRow
from app.domain.resources import RenderedItem, ResourceType
from app.store import Database
from app.store.claimed_ids import Allocator

# Bytes of an entry beside its body: 520 to 740 by tracemalloc on CPython 3.11, by how full the dictionaries are.
ENTRY_BYTES = 700


class CachedItem(NamedTuple):
    """An item, and the token that shows whether its revision is still the newest."""

    item: RenderedItem
    token: int | None


class BodyCache:
    """Hold up to ``max_bytes`` of rendered items of one type, least recently used ones out first. Thread-safe.

    A body belongs to a revision and is never wrong. Its revision is known to be the newest while its token is valid.
    ``follow`` starts the feed of changes; it is called before anything is read from the database.
    """

    def __init__(
        self, resource_type: ResourceType, validator: CacheValidator, follow: Callable[[], None], max_bytes: int
    ) -> None:
        self.resource_type, self._validator, self._follow = resource_type, validator, follow
        self._lock = Lock()
        self._entries: LRUCache[int, CachedItem] = LRUCache(max_bytes, _size)

    @property
    def bytes(self) -> int:
        """The memory that all entries take."""
        return int(self._entries.currsize)

    def get(self, public_id: int) -> RenderedItem | None:
        """Return an item if its newest revision is known."""
        entry = self._find(public_id)
        if entry and self._validator.is_valid(entry.token, self.resource_type.doc_id(public_id)):
            return entry.item
        return None

    def get_revision(self, public_id: int, revision: str) -> RenderedItem | None:
        """Return an item as it is or was in ``revision``, if that is known."""
        entry = self._find(public_id)
        return entry.item if entry and entry.item.revision == revision else None

    def token(self, public_id: int | None = None) -> int | None:
        """Return a token for an item, or for all items; take it before reading them from the database."""
        self._follow()
        return self._validator.token(None if public_id is None else self.resource_type.doc_id(public_id))

    def is_valid(self, token: int | None) -> bool:
        """Return whether no item has changed since ``token`` was taken for all items."""
        return self._validator.is_valid(token)

    def put(self, item: RenderedItem, token: int | None) -> RenderedItem:
        """Store and return an item that was read after ``token`` was taken."""
        with self._lock, suppress(ValueError):  # It is larger than the whole cache.
            self._entries[item.public_id] = CachedItem(item, token)
        return item

    def _find(self, public_id: int) -> CachedItem | None:
        with self._lock:
            try:
                return self._entries[public_id]  # Twice as fast as get().
            except KeyError:
                return None


class CachedItems(Items):
    """All items of one type; bodies that are known are not read again."""

    def __init__(self, items: Database, allocator: Allocator, conflicts: ItemConflicts, cache: BodyCache) -> None:
        super().__init__(cache.resource_type, items, allocator, conflicts)
        self._cache = cache

    def read(self, public_id: int, *, bypass_cache: bool = False) -> RenderedItem:
        """Return an item as clients read it, from the database if the cache is bypassed or lacks it. Raises NotFound.

        The token is taken first, so that a write during the read makes it invalid.
        """
        if cached := None if bypass_cache else self._cache.get(public_id):
            return cached
        token = self._cache.token(public_id)
        item = self.get(public_id)
        is_conflicted, is_final = self.conflicts.state(item)
        rendered = RenderedItem.of(self.resource_type, item, is_conflicted=is_conflicted)
        return self._cache.put(rendered, token if is_final else None)

    def read_rows(self, rows: Sequence[IndexRow]) -> list[RenderedItem]:
        """Return the items of index rows as they are now or were in the row's revision; only unknown ones are read."""
        items = {row.public_id: self._cache.get_revision(row.public_id, row.revision) for row in rows}
        tokens = {public_id: self._cache.token(public_id) for public_id, item in items.items() if item is None}
        for public_id, item in self.find_many(list(tokens)).items():
            # A listing does not judge conflicts, so a read of the item itself has to.
            token = None if item.conflicts else tokens[public_id]
            items[public_id] = self._cache.put(RenderedItem.of(self.resource_type, item), token)
        return [item for item in items.values() if item]


def _size(entry: CachedItem) -> int:
    return len(entry.item.body) + ENTRY_BYTES

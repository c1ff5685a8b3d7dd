"""Items whose bodies are read through the cache."""

from __future__ import annotations

from collections.abc import Sequence

from app.cache.body_cache import BodyCache
from app.domain.items import Items
from app.domain.listing.pages import IndexRow
from app.domain.resources import RenderedItem
from app.store import Database
from app.store.claimed_ids import Allocator


class CachedItems(Items):
    """All items of one type; bodies that are known are not read again."""

    def __init__(self, items: Database, allocator: Allocator, cache: BodyCache) -> None:
        super().__init__(cache.resource_type, items, allocator)
        self._cache = cache

    def read(self, public_id: int, *, bypass_cache: bool = False) -> RenderedItem:
        """Return an item as clients read it, from the database if the cache is bypassed or lacks it. Raises NotFound.

        The token is taken first, so that a write during the read makes it invalid.
        """
        if item := None if bypass_cache else self._cache.get(public_id):
            return item
        token = self._cache.token(public_id)
        return self._cache.put(super().read(public_id), token)

    def read_rows(self, rows: Sequence[IndexRow]) -> list[RenderedItem]:
        """Return the items of index rows as they are now or were in the row's revision; only unknown ones are read."""
        items = {row.public_id: self._cache.get_revision(row.public_id, row.revision) for row in rows}
        missing = [row for row in rows if items[row.public_id] is None]
        tokens = {row.public_id: self._cache.token(row.public_id) for row in missing}
        items |= {item.public_id: self._cache.put(item, tokens[item.public_id]) for item in super().read_rows(missing)}
        return [item for item in items.values() if item]

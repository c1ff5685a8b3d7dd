"""The newest bodies of documents and projects, so that unchanged ones are not read from the database again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from app.cache.cache_validator import CacheValidator
from app.domain.rendered import RenderedItem
from app.domain.resource_types import ResourceType

# Bytes of an entry beside its body, measured on CPython 3.11.
ENTRY_BYTES = 340


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
        self.resource_type, self._validator, self._follow, self._max_bytes = resource_type, validator, follow, max_bytes
        self._lock = Lock()
        self._entries: OrderedDict[int, CachedItem] = OrderedDict()
        self.bytes = 0

    def get(self, public_id: int) -> RenderedItem | None:
        """Return an item if its newest revision is known."""
        entry = self._find(public_id)
        return (
            entry.item
            if entry and self._validator.is_valid(entry.token, self.resource_type.doc_id(public_id))
            else None
        )

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
        if len(item.body) + ENTRY_BYTES > self._max_bytes:
            return item
        with self._lock:
            self._drop(self._entries.pop(item.public_id, None))
            self._entries[item.public_id] = CachedItem(item, token)
            self.bytes += len(item.body) + ENTRY_BYTES
            while self.bytes > self._max_bytes:
                self._drop(self._entries.popitem(last=False)[1])
        return item

    def _find(self, public_id: int) -> CachedItem | None:
        with self._lock:
            entry = self._entries.get(public_id)
            if entry:
                self._entries.move_to_end(public_id)
            return entry

    def _drop(self, entry: CachedItem | None) -> None:
        if entry:
            self.bytes -= len(entry.item.body) + ENTRY_BYTES

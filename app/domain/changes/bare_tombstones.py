"""Completes the tombstones of documents that hold nothing, not even a project, such as those that Fauxton leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from cachetools import LRUCache

from app.domain.changes.departures import LEFT
from app.domain.resources import DOCUMENT, ResourceType
from app.store.items import StoredItem

# Projects of tombstones that are remembered.
MAX_REMEMBERED = 1_000

# Returns the project of the newest version with content below a tombstone, None if there is none.
FindLastProject = Callable[[StoredItem], int | None]


def is_bare(item: StoredItem) -> bool:
    """Return whether an item, which was read with its document, is a tombstone that holds nothing."""
    return item.is_deleted and not item.fields


class BareTombstones:
    """Gives bare tombstones the departure from the last project of their document, by its history. Thread-safe."""

    def __init__(self, find_last_project: FindLastProject) -> None:
        self._find_last_project = find_last_project
        self._lock, self._known = Lock(), LRUCache[tuple[str, str], int](MAX_REMEMBERED)

    def complete(self, resource_type: ResourceType, item: StoredItem) -> StoredItem:
        """Return an item of a feed, which was read with its document. Raises Unavailable.

        The departure has no time, as the tombstone has none: a client sees it whenever it reads the row.
        """
        if resource_type is not DOCUMENT or not is_bare(item):
            return item
        project_id = self._project_id(item)
        if project_id is None:
            return item
        return replace(item, fields={LEFT: [{"project": project_id, "generation": item.generation, "at": ""}]})

    def _project_id(self, item: StoredItem) -> int | None:
        key = item.doc_id, item.revision
        with self._lock:
            known = self._known.get(key)
        if known is not None:
            return known
        project_id = self._find_last_project(item)
        if project_id is not None:
            with self._lock:
                self._known[key] = project_id
        return project_id

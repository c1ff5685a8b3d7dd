"""Completes bare tombstones: those without any member, not even the project, such as Fauxton writes for a document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from cachetools import LRUCache

from app.domain.changes.departures import LEFT
from app.domain.resources import DOCUMENT, ResourceType
from app.store.items import StoredItem

# The tombstones whose projects are remembered.
MAX_TOMBSTONES = 1_000

# Returns the project of the newest version with content before a tombstone, None if there is none.
FindLastProject = Callable[[StoredItem], int | None]


def is_bare(item: StoredItem) -> bool:
    """Return whether an item, which was read with its document, is a tombstone without any member."""
    return item.is_deleted and not item.fields


class BareTombstones:
    """Adds to a bare tombstone the departure from the last project of its document. Thread-safe."""

    def __init__(self, find_last_project: FindLastProject) -> None:
        self._find_last_project = find_last_project
        self._lock, self._project_ids = Lock(), LRUCache[tuple[str, str], int](MAX_TOMBSTONES)

    def complete(self, resource_type: ResourceType, item: StoredItem) -> StoredItem:
        """Return an item of a feed, which was read with its document, completed if it is a bare tombstone.

        The departure has no time, since the tombstone has none. So every client that reads the row sees it.
        Raises Unavailable.
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
            project_id = self._project_ids.get(key)
        if project_id is not None:
            return project_id
        project_id = self._find_last_project(item)
        if project_id is not None:
            with self._lock:
                self._project_ids[key] = project_id
        return project_id

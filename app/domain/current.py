"""The newest bodies of documents and projects, so that the database is not asked again for what has not changed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, NamedTuple

from app.domain.resource_types import Kind
from app.store import Freshness

# What an entry takes beside its body, in bytes, measured on CPython 3.11.
OVERHEAD = 340


class Shown(NamedTuple):
    """An item as readers get it: ``body`` is its JSON, and ``mark`` tells whether ``revision`` is still its newest."""

    public_id: int
    revision: str
    project_id: int | None
    body: bytes
    mark: int | None


class Current:
    """Keeps up to ``most_bytes`` of bodies, those that were last asked for; threads may share it.

    A body belongs to a revision and is never wrong; that the revision is the newest is known while its mark holds.
    ``follow`` is called before anything is read that could be kept.
    """

    def __init__(self, kind: Kind, freshness: Freshness, follow: Callable[[], None], most_bytes: int) -> None:
        self.kind, self._freshness, self._follow, self._most_bytes = kind, freshness, follow, most_bytes
        self._lock = Lock()
        self._shown: OrderedDict[int, Shown] = OrderedDict()
        self.bytes = 0

    def get(self, public_id: int) -> Shown | None:
        """Return an item as it is now, if that is known."""
        found = self._find(public_id)
        return found if found and self._freshness.holds(found.mark, self.kind.key(public_id)) else None

    def at(self, public_id: int, revision: str) -> Shown | None:
        """Return an item as it is or was in ``revision``, if that is known."""
        found = self._find(public_id)
        return found if found and found.revision == revision else None

    def mark(self, public_id: int | None = None) -> int | None:
        """Return a mark for an item, or for all of them, to be taken before they are read."""
        self._follow()
        return self._freshness.mark(None if public_id is None else self.kind.key(public_id))

    def holds(self, mark: int | None) -> bool:
        """Tell whether nothing at all has changed since a mark for all items was taken."""
        return self._freshness.holds(mark)

    def keep(self, found: Mapping[str, Any], mark: int | None) -> Shown:
        """Return what readers get of a stored item, which was read after ``mark`` was taken."""
        public_id, project_id = found["id"], found.get("project_id")
        shown = Shown(public_id, found["_rev"], project_id, self.kind.body(found), mark)
        if len(shown.body) + OVERHEAD > self._most_bytes:
            return shown
        with self._lock:
            self._drop(self._shown.pop(public_id, None))
            self._shown[public_id] = shown
            self.bytes += len(shown.body) + OVERHEAD
            while self.bytes > self._most_bytes:
                self._drop(self._shown.popitem(last=False)[1])
        return shown

    def _find(self, public_id: int) -> Shown | None:
        with self._lock:
            found = self._shown.get(public_id)
            if found:
                self._shown.move_to_end(public_id)
            return found

    def _drop(self, shown: Shown | None) -> None:
        if shown:
            self.bytes -= len(shown.body) + OVERHEAD

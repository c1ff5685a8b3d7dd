"""Walks over several projects' documents as one: rows of the index by project, merged by id.

A look-up in a view costs CouchDB about as much as fifty rows of it, and a key may have hundreds of projects. So the
rows read are remembered, and each walk begins with what has changed since in the database's own order of changes:
what is remembered is as true as the index itself. Rows that had to be read are of different moments, between which a
document may have moved from one project to another; so the walk is repeated until it needs none
(docs/decisions/limited-keys.md).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from heapq import merge
from itertools import islice
from threading import Lock

from app.domain.listing.pages import IndexRow
from app.domain.resource_types import DOCUMENT
from app.errors import Unavailable
from app.request_context import remaining
from app.store import Database
from app.store.doc_ids import MAX_ID, digits

# More changes than these cost more to look up than to forget.
MOST_CHANGES = 50
# While a walk goes on there is more to forget, so that more changes are looked up.
MOST_MEANWHILE = 1_000
# How often a walk is repeated in which rows had to be read; the second time there are hardly ever any.
MOST_WALKS = 10
# A longer window forgets what lies behind the walk; all windows together take some tens of megabytes at most.
LONGEST = 1_000
MOST_ROWS = 100_000
# How many rows more than the even share of a page are read of each project.
SPARE = 8
# What an empty window counts, in rows.
WEIGHT = 10


class Window:
    """All rows of one project from id ``low`` to id ``high``."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high
        self._ids: list[int] = []
        self._rows: dict[int, IndexRow] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def put(self, row: IndexRow) -> None:
        """Take in the row as it is now."""
        if row.public_id not in self._rows:
            insort(self._ids, row.public_id)
        self._rows[row.public_id] = row

    def discard(self, public_id: int) -> None:
        """Forget a row, if it is here."""
        if self._rows.pop(public_id, None):
            del self._ids[bisect_left(self._ids, public_id)]

    def forget_behind(self, place: int, *, descending: bool) -> None:
        """Begin at ``place``, which the window holds or touches."""
        behind = [public_id for public_id in self._ids if (public_id > place if descending else public_id < place)]
        for public_id in behind:
            self.discard(public_id)
        if descending:
            self.high = place
        else:
            self.low = place

    def holds(self, public_id: int) -> bool:
        """Tell whether a row with this id would have to be here."""
        return self.low <= public_id <= self.high

    def ahead(self, place: int, *, descending: bool) -> list[IndexRow]:
        """Return what is known from ``place`` on, itself included."""
        ids = (
            self._ids[: bisect_right(self._ids, place)][::-1]
            if descending
            else self._ids[bisect_left(self._ids, place) :]
        )
        return [self._rows[public_id] for public_id in ids]


class MergedWalk:
    """The documents of any choice of projects, in order of their ids."""

    def __init__(self, documents: Database) -> None:
        self._documents, self._lock = documents, Lock()
        self._windows: OrderedDict[int, Window] = OrderedDict()
        self._sequence: object = None
        self._reads = 0

    def rows(self, projects: Iterable[int], start: int, count: int, *, descending: bool) -> list[IndexRow]:
        """Return the first ``count`` rows of ``projects`` from the id ``start`` on.

        Raises Unavailable, also when others kept it from beginning in time, and when too much changed meanwhile.
        """
        chosen = sorted(projects)
        at_once = count // max(1, len(chosen)) + SPARE
        with self._alone():
            for number in range(MOST_WALKS):
                self._catch_up(MOST_MEANWHILE if number else MOST_CHANGES)
                reads = self._reads
                walks = [self._walk(project, start, at_once, descending=descending) for project in chosen]
                found = list(islice(merge(*walks, key=lambda row: row.public_id, reverse=descending), count))
                if self._reads == reads or len(chosen) == 1:
                    self._make_room()
                    return found
            raise Unavailable

    @contextmanager
    def _alone(self) -> Iterator[None]:
        left = remaining()
        if not self._lock.acquire(timeout=-1 if left is None else max(0.0, left)):
            raise Unavailable
        try:
            yield
        except BaseException:
            # The changes that were being taken in will not be told again.
            self._windows.clear()
            raise
        finally:
            self._lock.release()

    def _catch_up(self, most: int) -> None:
        """Let the windows be as the index is now; at ``most`` changes or more let there be none."""
        if self._windows:
            changed, self._sequence = self._documents.changed_since(self._sequence, limit=most)
            if len(changed) < most:
                self._renew([doc_id for doc_id in changed if doc_id.startswith(f"{DOCUMENT.name}:")])
                return
        self._windows.clear()
        self._sequence = self._documents.sequence()

    def _renew(self, doc_ids: list[str]) -> None:
        for doc_id in doc_ids:
            public_id = DOCUMENT.public_id(doc_id)
            for window in self._windows.values():
                window.discard(public_id)
        for row in self._documents.view("listing", "by_id", keys=doc_ids) if doc_ids else ():
            found = IndexRow.of(DOCUMENT, row)
            home = self._windows.get(found.project_id or 0)
            if home is not None and home.holds(found.public_id):
                home.put(found)

    def _walk(self, project: int, place: int, at_once: int, *, descending: bool) -> Iterator[IndexRow]:
        window, start = self._window(project, place, descending=descending), place
        while True:
            for row in window.ahead(place, descending=descending):
                yield row
                place = row.public_id + (-1 if descending else 1)
            if window.low <= 0 if descending else window.high >= MAX_ID:
                return
            if len(window) > LONGEST:
                window.forget_behind(start, descending=descending)
            self._extend(project, window, at_once, descending=descending)

    def _window(self, project: int, place: int, *, descending: bool) -> Window:
        window = self._windows.get(project)
        touches = window is not None and window.low - descending <= place <= window.high + (not descending)
        if window is None or not touches:
            return self._begin(project, place, descending=descending)
        self._windows.move_to_end(project)
        return window

    def _begin(self, project: int, place: int, *, descending: bool) -> Window:
        """Return an empty window, in front of which is ``place``."""
        window = self._windows[project] = Window(place + descending, place - (not descending))
        self._windows.move_to_end(project)
        return window

    def _extend(self, project: int, window: Window, at_once: int, *, descending: bool) -> None:
        self._reads += 1
        start, end = (window.low - 1, 0) if descending else (window.high + 1, MAX_ID)
        found = self._documents.view(
            "listing",
            "by_project",
            startkey=[digits(project), DOCUMENT.doc_id(start)],
            endkey=[digits(project), DOCUMENT.doc_id(end)],
            descending=descending,
            limit=at_once,
        )
        for row in found:
            window.put(IndexRow.of(DOCUMENT, row))
        reached = end if len(found) < at_once else DOCUMENT.public_id(found[-1].id)
        if descending:
            window.low = reached
        else:
            window.high = reached

    def _make_room(self) -> None:
        held = sum(len(window) + WEIGHT for window in self._windows.values())
        while held > MOST_ROWS:
            _, window = self._windows.popitem(last=False)
            held -= len(window) + WEIGHT

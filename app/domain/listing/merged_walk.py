"""Lists the documents of several projects as one, in order of their ids.

One look-up in a view costs CouchDB as much as fifty rows read in order, and a key may have hundreds of projects. So the
rows of the index are remembered, and each listing first applies the changes since the last one. Rows that it has
to read come from different moments, between which a document may move from one project to another. So the merge is
repeated until it needs no read (docs/decisions/limited-keys.md).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterator
from heapq import merge
from itertools import islice
from threading import Lock

from app.domain.listing.pages import Index, IndexRow, ListQuery, Order
from app.domain.resources import DOCUMENT
from app.errors import Unavailable
from app.request_context import remaining
from app.store import Database
from app.store.items import MAX_ID

# Looking up more changes than these costs more than reading the rows again.
MAX_CHANGES = 50
# In a repeated merge there is more to read again, so that more changes are looked up.
MAX_CHANGES_MEANWHILE = 1_000
# A second merge hardly ever has to read rows.
MAX_MERGES = 10
# All windows together; a row takes some hundred bytes, and an empty window as much as ten rows.
MAX_ROWS = 100_000
WINDOW_ROWS = 10
# Rows that are read of each project beyond its even share of the page.
SPARE_ROWS = 8


class Window:
    """All rows of one project with ``low <= id < high``."""

    def __init__(self, edge: int) -> None:
        self.low = self.high = edge
        self._ids: list[int] = []
        self._rows: dict[int, IndexRow] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def put(self, row: IndexRow) -> None:
        """Add or replace a row."""
        if row.public_id not in self._rows:
            insort(self._ids, row.public_id)
        self._rows[row.public_id] = row

    def discard(self, public_id: int) -> None:
        """Remove a row, if it is here."""
        if self._rows.pop(public_id, None):
            del self._ids[bisect_left(self._ids, public_id)]

    def next_row(self, edge: int, *, descending: bool) -> IndexRow | None:
        """Return the first known row at or above ``edge``, or descending, the last one below it."""
        at = bisect_left(self._ids, edge) - descending
        return self._rows[self._ids[at]] if 0 <= at < len(self._ids) else None


class MergedWalk:
    """The documents of any set of projects, in order of their ids. Threads share it, and use it one at a time.

    ``identity`` returns the identity of the database's feed: rows of a database that was made again or restored since
    must not be listed, and CouchDB answers its old sequences with other changes.
    """

    def __init__(self, documents: Database, identity: Callable[[], object] = lambda: None) -> None:
        self._documents, self._index, self._read_identity = documents, Index(DOCUMENT, documents), identity
        self._lock = Lock()
        # By project, the most recently used last; valid at ``_sequence`` of the feed ``_identity``.
        self._windows: dict[int, Window] = {}
        self._identity: object = None
        self._sequence: object = None
        self._reads = 0

    def rows(self, projects: Collection[int], start: int, count: int, *, descending: bool) -> list[IndexRow]:
        """Return the first ``count`` rows of ``projects`` from the id ``start`` on.

        Raises Unavailable, also after waiting for others until the deadline, and if the database changes too fast.
        """
        edge, batch = start + descending, count // max(1, len(projects)) + SPARE_ROWS
        seconds = remaining()
        if not self._lock.acquire(timeout=-1 if seconds is None else max(0.0, seconds)):
            raise Unavailable
        try:
            for number in range(MAX_MERGES):
                self._catch_up(MAX_CHANGES_MEANWHILE if number else MAX_CHANGES)
                reads = self._reads
                walks = [self._walk(project, edge, batch, descending=descending) for project in projects]
                rows = list(islice(merge(*walks, key=lambda row: row.public_id, reverse=descending), count))
                if self._reads == reads or len(projects) == 1:
                    self._make_room()
                    return rows
            raise Unavailable
        finally:
            self._lock.release()

    def _catch_up(self, limit: int) -> None:
        """Apply the changes since the last time; after ``limit`` changes or more, remove all windows."""
        identity, self._identity = self._identity, self._read_identity()
        if self._windows and identity == self._identity:
            doc_ids, sequence = self._documents.changed_since(self._sequence, limit=limit)
            if len(doc_ids) < limit:
                documents = (doc_id for doc_id in doc_ids if DOCUMENT.first <= doc_id <= DOCUMENT.last)
                self._renew(tuple(map(DOCUMENT.public_id, documents)))
                self._sequence = sequence
                return
        self._windows.clear()
        self._sequence = self._documents.sequence()

    def _renew(self, public_ids: tuple[int, ...]) -> None:
        for public_id in public_ids:
            for window in self._windows.values():
                window.discard(public_id)
        for row in self._index.rows_by_id(ListQuery(limit=len(public_ids), ids=public_ids)):
            home = self._windows.get(row.project_id or 0)
            if home is not None and home.low <= row.public_id < home.high:
                home.put(row)

    def _walk(self, project: int, edge: int, batch: int, *, descending: bool) -> Iterator[IndexRow]:
        window = self._windows.pop(project, None)
        if window is None or not window.low <= edge <= window.high:
            window = Window(edge)
        self._windows[project] = window
        while True:
            if row := window.next_row(edge, descending=descending):
                yield row
                edge = row.public_id + (not descending)
            elif window.low > 0 if descending else window.high <= MAX_ID:
                self._extend(project, window, batch, descending=descending)
            else:
                return

    def _extend(self, project: int, window: Window, batch: int, *, descending: bool) -> None:
        self._reads += 1
        order: Order = "desc" if descending else "asc"
        position = window.low if descending else window.high - 1
        rows = self._index.range(ListQuery(batch - 1, order, position, project_id=project))
        for row in rows:
            window.put(row)
        is_last = len(rows) < batch
        if descending:
            window.low = 0 if is_last else rows[-1].public_id
        else:
            window.high = MAX_ID + 1 if is_last else rows[-1].public_id + 1

    def _make_room(self) -> None:
        """Remove the least recently used windows."""
        held = sum(len(window) + WINDOW_ROWS for window in self._windows.values())
        while held > MAX_ROWS:
            held -= len(self._windows.pop(next(iter(self._windows)))) + WINDOW_ROWS

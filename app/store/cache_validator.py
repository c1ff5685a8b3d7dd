"""Tells whether what was read from a database is still current, without asking the database again."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from app.store.write_counters import SLOTS, WHOLE, Versions


class Freshness:
    """Joins what this host's processes write with what a follower of the database's changes has seen.

    While the follower is lost, nothing is held for current. A mark is taken before something is read and kept with it:
    as long as it holds, nobody has changed what was read, nor is anyone about to. All that a mark is made of only ever
    grows, so that one sum stands for all of it.
    """

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._seen = array("Q", bytes(8 * (SLOTS + 1)))
        self._losses = 0
        self.is_live = False

    def mark(self, doc_id: str | None = None) -> int | None:
        """Return a mark for a document, or for the whole database; None while nothing that is read could be kept."""
        slot = WHOLE if doc_id is None else Versions.slot(doc_id)
        found = self._sum(slot)
        return found if self._versions.is_quiet(slot) and self.is_live else None

    def holds(self, mark: int | None, doc_id: str | None = None) -> bool:
        """Tell whether nothing has changed since ``mark`` was taken."""
        return (
            mark is not None and self.is_live and mark == self._sum(WHOLE if doc_id is None else Versions.slot(doc_id))
        )

    def _sum(self, slot: int) -> int:
        return self._versions.version(slot) + self._seen[slot] + self._losses

    def caught_up(self) -> None:
        """From now on every change will be told."""
        self.is_live = True

    def changed(self, doc_ids: Iterable[str]) -> None:
        """Heed changes, by whomever."""
        for doc_id in doc_ids:
            self._seen[Versions.slot(doc_id)] += 1
            self._seen[WHOLE] += 1

    def lost(self) -> None:
        """Changes may have been missed: no mark holds any more."""
        if self.is_live:
            self.is_live = False
            self._losses += 1

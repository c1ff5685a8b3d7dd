"""Decides whether something read from a database is still current, without asking the database again."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from app.cache.write_counters import SLOTS, WHOLE, WriteCounters


class CacheValidator:
    """Join the writes of this host's processes with the changes that a follower of the database reports.

    While the follower is lost, nothing is valid. Take a token before a read and keep it beside the result: while the
    token is valid, its documents are unchanged, and no write to it is in flight. Every part of a token only ever
    grows, so that their sum stands for all of them.
    """

    def __init__(self, counters: WriteCounters) -> None:
        self._counters = counters
        self._changes = array("Q", bytes(8 * (SLOTS + 1)))
        self._losses = 0
        self.is_live = False

    def token(self, doc_id: str | None = None) -> int | None:
        """Return a token for a document, or for the whole database; None while no result may be kept."""
        slot = _slot(doc_id)
        token = self._sum(slot)
        return token if self._counters.is_quiet(slot) and self.is_live else None

    def is_valid(self, token: int | None, doc_id: str | None = None) -> bool:
        """Return whether nothing has changed since ``token`` was taken."""
        return token is not None and self.is_live and token == self._sum(_slot(doc_id))

    def _sum(self, slot: int) -> int:
        return self._counters.version(slot) + self._changes[slot] + self._losses

    def caught_up(self) -> None:
        """Note that every change from now on is reported."""
        self.is_live = True

    def changed(self, doc_ids: Iterable[str]) -> None:
        """Note changes, by any writer."""
        for doc_id in doc_ids:
            self._changes[WriteCounters.slot(doc_id)] += 1
            self._changes[WHOLE] += 1

    def lost(self) -> None:
        """Note that changes may have been missed: no token is valid any more."""
        if self.is_live:
            self.is_live = False
            self._losses += 1


def _slot(doc_id: str | None) -> int:
    return WHOLE if doc_id is None else WriteCounters.slot(doc_id)

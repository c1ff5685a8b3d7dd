"""The place of a client that waits, among the batches of a hub."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.changes.batch import Batch, Perspective


@dataclass(eq=False)
class Watcher:
    """A client's place: it has taken or skipped the batches up to ``position``. ``wake`` is called in another thread.

    ``read_up_to`` is the place where the client's own reading of the feed has ended. It becomes None once the batches
    have reached that place, or have shown a change, which may be an older state than the client has read.
    ``last_skipped`` is the last batch without a change for the client, since it last took some.
    """

    perspective: Perspective
    position: int
    wake: Callable[[], None] = lambda: None
    read_up_to: int | str | None = None
    last_skipped: Batch | None = None

    def has_read(self, batch: Batch) -> bool:
        """Return whether the client has surely read all of ``batch`` itself, and has been shown nothing older since.

        Only equal places prove that: one with a lower number may be ahead in one shard (docs/couchdb-quirks.md).
        """
        return batch.end.sequence == self.read_up_to

    def is_ahead_of(self, batch: Batch) -> bool:
        """Return whether the client may have read later states of the items in ``batch``, the next one."""
        return self.read_up_to is not None and batch.start.sequence != self.read_up_to

    def move(self, batch: Batch, *, is_shown: bool) -> None:
        """Move to the place after ``batch``; ``is_shown`` if it shows the client a change."""
        if is_shown or self.read_up_to in (batch.start.sequence, batch.end.sequence):
            self.read_up_to = None
        # Last, since the hub reads it first, in another thread.
        self.position = batch.number

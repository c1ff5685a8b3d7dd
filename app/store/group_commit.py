"""Group commit: single writes that arrive while another is in flight wait for it and then share one request.

A write that arrives alone is sent at once. A group waits until it is as large as the last one, at most as long as that
one took (docs/decisions/group-commit.md).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX, Event, Lock
from typing import Any

from app.errors import Conflict, Unavailable, Unconfirmed
from app.request_context import remaining
from app.store.bulk_writes import most_bytes
from app.store.database import Database
from app.store.exchange import DocumentFailure, Outcome

# The documents of a group have at most this size by an upper bound; one that does not fit is sent alone.
MAX_GROUP_BYTES = 2**20
# A writer that has waited this long for a write in flight is sent alone.
MAX_WAIT_SECONDS = 0.25

Document = Mapping[str, Any]


class _Writer:
    """A thread with a document to write.

    It receives the seconds to wait for others, a group to send, or the outcome of its document.
    """

    def __init__(self, document: Document) -> None:
        self.document, self.doc_id = document, document["_id"]
        self.size = most_bytes(document)
        seconds_left = remaining()
        self.deadline = math.inf if seconds_left is None else time.monotonic() + seconds_left
        self.messages: SimpleQueue[float | list[_Writer] | Outcome] = SimpleQueue()

    def receive(self, timeout: float = TIMEOUT_MAX) -> float | list[_Writer] | Outcome | None:
        """Return the next message, None if none arrives within ``timeout`` seconds or the request's time."""
        with suppress(Empty):
            return self.messages.get(timeout=max(0.0, min(timeout, self.deadline - time.monotonic())))
        return None


class GroupCommit:
    """Single writes to one database by the threads of one process, with the results and errors of Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock, self._in_flight = Lock(), False
        self._waiting: dict[str, _Writer] = {}
        # How many documents the last request had, whether as many wait now, and the writer that waits for them.
        self._last_size, self._is_complete = 1, Event()
        self._gatherer: _Writer | None = None

    def write(self, document: Document) -> str:
        """Write as Database.replace does a document with a `_rev`, and as Database.create does one without."""
        write_alone = self._database.replace if "_rev" in document else self._database.create
        writer = _Writer(document)
        with self._lock:
            is_first, self._in_flight = not self._in_flight, True
            waits = not is_first and self._fits(writer)
            if waits:
                self._waiting[writer.doc_id] = writer
                if len(self._waiting) >= self._last_size:
                    self._is_complete.set()
        if is_first:
            with self._request(1):
                return write_alone(document)
        outcome = self._await_outcome(writer) if waits else None
        if outcome is DocumentFailure.CONFLICT:
            raise Conflict
        if outcome is DocumentFailure.UNKNOWN:
            raise Unconfirmed
        # A refused document is not stored. Alone it may be accepted, and if not, CouchDB's reason is logged.
        return outcome if isinstance(outcome, str) else write_alone(document)

    def _fits(self, writer: _Writer) -> bool:
        """Return whether the next group can take it: outcomes of two documents with one `_id` look alike."""
        size = writer.size + sum(other.size for other in self._waiting.values())
        return writer.doc_id not in self._waiting and size <= MAX_GROUP_BYTES

    def _await_outcome(self, writer: _Writer) -> Outcome | None:
        """Wait for the group, and send it if asked to. Returns the document's outcome, None if it was not sent."""
        message = writer.receive(MAX_WAIT_SECONDS)
        if message is None:
            if self._leave(writer):
                return None
            message = writer.receive()
        if isinstance(message, float):
            self._is_complete.wait(message)
            self._start_next()
            message = writer.receive()
        if isinstance(message, list):
            return self._send(message)[writer.doc_id]
        return message if isinstance(message, Outcome) else DocumentFailure.UNKNOWN

    def _leave(self, writer: _Writer) -> bool:
        """Take ``writer`` out of the next group; return False if a message to it is on its way."""
        with self._lock:
            can_leave = self._waiting.get(writer.doc_id) is writer and writer is not self._gatherer
            if can_leave:
                del self._waiting[writer.doc_id]
            return can_leave

    def _send(self, group: list[_Writer]) -> Mapping[str, Outcome]:
        """Write the documents of a group, and give each writer its outcome even if this fails."""
        outcomes: Mapping[str, Outcome] = {writer.doc_id: DocumentFailure.UNKNOWN for writer in group}
        with self._request(len(group)):
            try:
                with suppress(Unconfirmed):
                    outcomes = self._database.write_many([writer.document for writer in group])
            except Unavailable:
                outcomes = dict.fromkeys(outcomes, DocumentFailure.FORBIDDEN)
            finally:
                for writer in group:
                    writer.messages.put(outcomes[writer.doc_id])
        return outcomes

    @contextmanager
    def _request(self, size: int) -> Iterator[None]:
        """Send ``size`` documents inside, and let the waiting writers go next.

        Those just answered often write again at once. If fewer wait than were answered, one of them waits for more.
        """
        started = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._last_size = size
                self._is_complete.clear()
                gathers = 0 < len(self._waiting) < size
                if gathers:
                    self._gatherer = _most_patient(self._waiting.values())
                    self._gatherer.messages.put(min(time.monotonic() - started, MAX_WAIT_SECONDS))
            if not gathers:
                self._start_next()

    def _start_next(self) -> None:
        """Let the waiting writers go. The one with the most time left sends, so that no deadline cuts it short."""
        with self._lock:
            group = list(self._waiting.values())
            self._waiting.clear()
            self._in_flight, self._gatherer = bool(group), None
            if group:
                _most_patient(group).messages.put(group)


def _most_patient(writers: Iterable[_Writer]) -> _Writer:
    """Return the writer with the most time left."""
    return max(writers, key=lambda writer: writer.deadline)

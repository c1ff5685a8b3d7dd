"""Group commit: single writes that arrive while another is in flight wait for it and then share one request.

A write that arrives alone is sent at once, and no timer delays a write (docs/decisions/group-commit.md).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX, Lock
from typing import Any

from app.errors import Conflict, Unavailable, Unconfirmed
from app.request_context import remaining
from app.store.database import Database
from app.store.exchange import DocumentFailure, Outcome

# The documents of a group have at most this size as JSON; one that does not fit is sent alone.
MAX_GROUP_BYTES = 2**20
# A writer that has waited this long for a write in flight is sent alone.
MAX_WAIT_SECONDS = 0.25

Document = Mapping[str, Any]


class _Writer:
    """A thread with a document to write. It receives a group to send, or the outcome of its document."""

    def __init__(self, document: Document) -> None:
        self.document, self.doc_id = document, document["_id"]
        # With escapes it is never shorter than as it is sent.
        self.size = len(json.dumps(document))
        seconds_left = remaining()
        self.deadline = math.inf if seconds_left is None else time.monotonic() + seconds_left
        self.messages: SimpleQueue[list[_Writer] | Outcome] = SimpleQueue()

    def receive(self, timeout: float = TIMEOUT_MAX) -> list[_Writer] | Outcome | None:
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

    def create(self, document: Document) -> str:
        """Write as Database.create does."""
        return self._write(document, self._database.create)

    def replace(self, document: Document) -> str:
        """Write as Database.replace does."""
        return self._write(document, self._database.replace)

    def _write(self, document: Document, write_alone: Callable[[Document], str]) -> str:
        writer = _Writer(document)
        with self._lock:
            is_first, self._in_flight = not self._in_flight, True
            waits = not is_first and self._fits(writer)
            if waits:
                self._waiting[writer.doc_id] = writer
        if is_first:
            try:
                return write_alone(document)
            finally:
                self._start_next()
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
            with self._lock:
                if self._waiting.get(writer.doc_id) is writer:
                    del self._waiting[writer.doc_id]
                    return None
            message = writer.receive()
        if isinstance(message, list):
            return self._send(message)[writer.doc_id]
        return message or DocumentFailure.UNKNOWN

    def _send(self, group: list[_Writer]) -> Mapping[str, Outcome]:
        """Write the documents of a group, and give each writer its outcome even if this fails."""
        outcomes: Mapping[str, Outcome] = {writer.doc_id: DocumentFailure.UNKNOWN for writer in group}
        try:
            with suppress(Unconfirmed):
                outcomes = self._database.write_many([writer.document for writer in group])
        except Unavailable:
            outcomes = dict.fromkeys(outcomes, DocumentFailure.FORBIDDEN)
        finally:
            for writer in group:
                writer.messages.put(outcomes[writer.doc_id])
            self._start_next()
        return outcomes

    def _start_next(self) -> None:
        """Let the waiting writers go next. The one with the most time left sends, so that no deadline cuts it short."""
        with self._lock:
            group = list(self._waiting.values())
            self._waiting.clear()
            self._in_flight = bool(group)
            if group:
                max(group, key=lambda writer: writer.deadline).messages.put(group)

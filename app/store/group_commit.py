"""Group commit: single writes that come while another is under way wait for it, and then share one request.

A write that comes alone goes at once, and no timer makes anyone wait (docs/decisions/group-commit.md).
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
from app.store.outcomes import DocumentFailure, Outcome

# A group's documents are at most so many bytes of JSON; one that has no room goes alone.
MAX_BYTES = 2**20
# Whoever has waited so many seconds for a write that does not end goes alone.
PATIENCE = 0.25

Document = Mapping[str, Any]


class _Caller:
    """Someone with a document, and what they are told: to write for a group, or what became of the document."""

    def __init__(self, document: Document) -> None:
        self.document, self.doc_id = document, document["_id"]
        # Escaped it is never shorter than as it is sent.
        self.size = len(json.dumps(document))
        left = remaining()
        self.ends = math.inf if left is None else time.monotonic() + left
        self.news: SimpleQueue[list[_Caller] | Outcome] = SimpleQueue()

    def hear(self, patience: float = TIMEOUT_MAX) -> list[_Caller] | Outcome | None:
        """Return the news, None if there are none in so many seconds or until the request's time is over."""
        with suppress(Empty):
            return self.news.get(timeout=max(0.0, min(patience, self.ends - time.monotonic())))
        return None


class GroupCommit:
    """Single writes to one database by the threads of one process, with the outcomes that Database gives them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock, self._under_way = Lock(), False
        self._waiting: dict[str, _Caller] = {}

    def create(self, document: Document) -> str:
        """Do what Database.create does."""
        return self._write(document, self._database.create)

    def replace(self, document: Document) -> str:
        """Do what Database.replace does."""
        return self._write(document, self._database.replace)

    def _write(self, document: Document, alone: Callable[[Document], str]) -> str:
        caller = _Caller(document)
        with self._lock:
            first, self._under_way = not self._under_way, True
            waits = not first and self._has_room(caller)
            if waits:
                self._waiting[caller.doc_id] = caller
        if first:
            try:
                return alone(document)
            finally:
                self._pass_on()
        outcome = self._outcome(caller) if waits else None
        if outcome is DocumentFailure.CONFLICT:
            raise Conflict
        if outcome is DocumentFailure.UNKNOWN:
            raise Unconfirmed
        # What was refused is not stored; alone it may pass, and if not, the log has what CouchDB says of it.
        return outcome if isinstance(outcome, str) else alone(document)

    def _has_room(self, caller: _Caller) -> bool:
        """Tell whether the next group can take it; of two documents of one `_id` it could not tell the outcomes."""
        size = caller.size + sum(other.size for other in self._waiting.values())
        return caller.doc_id not in self._waiting and size <= MAX_BYTES

    def _outcome(self, caller: _Caller) -> Outcome | None:
        """Wait for the group, and write for it if told to; return what became of the document, None if not sent."""
        news = caller.hear(PATIENCE)
        if news is None:
            with self._lock:
                if self._waiting.get(caller.doc_id) is caller:
                    del self._waiting[caller.doc_id]
                    return None
            news = caller.hear()
        if isinstance(news, list):
            return self._lead(news)[caller.doc_id]
        return news or DocumentFailure.UNKNOWN

    def _lead(self, group: list[_Caller]) -> Mapping[str, Outcome]:
        """Write for a group; tell all of it what became of each document, whatever happens here."""
        found: Mapping[str, Outcome] = {caller.doc_id: DocumentFailure.UNKNOWN for caller in group}
        try:
            with suppress(Unconfirmed):
                found = self._database.write_many([caller.document for caller in group])
        except Unavailable:
            found = dict.fromkeys(found, DocumentFailure.FORBIDDEN)
        finally:
            for caller in group:
                caller.news.put(found[caller.doc_id])
            self._pass_on()
        return found

    def _pass_on(self) -> None:
        """Let those who wait go next; who has the most time writes for them, so that nobody's end is the others'."""
        with self._lock:
            group = list(self._waiting.values())
            self._waiting.clear()
            self._under_way = bool(group)
            if group:
                max(group, key=lambda caller: caller.ends).news.put(group)

"""The last use of each key: noted in memory, and written to `-meta` in batches, at most once a minute."""

from __future__ import annotations

import logging
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from threading import Event, Lock, Thread

from cachetools import LRUCache

from app.domain.resources import ResourceType, stamp
from app.errors import Unavailable
from app.request_context import request_context
from app.store import Database, DocumentFailure
from app.store.items import new_document

log = logging.getLogger("dreamscript.usage")

USAGE = ResourceType("usage", "meta")
# Seconds between two flushes, and before the first one, plus a random part, so that processes that start together do
# not flush together.
PERIOD_SECONDS = 60.0
SPREAD_SECONDS = 30.0
# Seconds that a flush may take, so that the last one ends before a stopping process is killed.
FLUSH_SECONDS = 2.0
# Above this number the least recently used key is forgotten.
MAX_KEYS = 10_000
BATCH_KEYS = 500
# Processes that stop together write the same keys, and no later flush can resolve a conflict.
LAST_TRIES = 10


def until_next_flush(ending: Event) -> bool:
    """Wait until the next flush. Returns True at once if ``ending`` is set."""
    return ending.wait(PERIOD_SECONDS + random.uniform(0, SPREAD_SECONDS))  # noqa: S311


class Usage:
    """Keep uses in memory, and write them in a thread. Thread-safe. A crash loses the notes of a minute or so.

    ``also`` runs after each flush, even if it failed before; its argument is set when the process stops. ``pause``
    waits between two flushes, and returns True to end them.
    """

    def __init__(
        self,
        meta: Database,
        also: Callable[[Event], object] = lambda _: None,
        pause: Callable[[Event], bool] = until_next_flush,
    ) -> None:
        self._meta, self._also, self._pause = meta, also, pause
        self._lock, self._flushing = Lock(), Lock()
        self._moments: LRUCache[int, datetime] = LRUCache(MAX_KEYS)
        self._thread: Thread | None = None
        self._ending = Event()

    def note(self, key_id: int, moment: datetime) -> None:
        """Note a use of a key at ``moment``; a thread writes it later. Raises nothing."""
        with self._lock:
            self._moments[key_id] = max(moment, self._moments.get(key_id, moment))
            if self._thread is None and not self._ending.is_set():
                thread = Thread(target=self._run, name="usage", daemon=True)
                # If no thread can start, the next note tries again, and no request fails.
                with suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    def last_used(self, key_ids: Iterable[int]) -> dict[int, str]:
        """Return the stored last uses of keys, by key id, in one request."""
        documents = self._meta.get_many([USAGE.doc_id(key_id) for key_id in key_ids])
        return {document["key"]: document["last_used_at"] for document in documents.values()}

    def flush(self, tries: int = 1) -> None:
        """Write the notes of this process; failed ones wait for the next flush. Raises nothing."""
        failures = Counter[DocumentFailure]()
        with self._flushing, request_context(request_id=uuid.uuid4().hex, seconds=FLUSH_SECONDS):
            try:
                for _ in range(tries):
                    failures = self._write_all()
                    if not failures[DocumentFailure.CONFLICT]:
                        break
            except Unavailable:
                return  # The store has logged it.
            except Exception:
                log.exception("the last uses of keys could not be written")
        # A conflict is not a failure: another process has written the same key.
        others = {failure.value: count for failure, count in failures.items() if failure != DocumentFailure.CONFLICT}
        if others:
            log.error("the database refused the last uses of some keys", extra=others)

    def close(self) -> None:
        """Stop the thread and write the remaining notes; later notes start no thread."""
        self._ending.set()
        self.flush(LAST_TRIES)

    def _run(self) -> None:
        while not self._pause(self._ending):
            self.flush()
            try:
                self._also(self._ending)
            except Unavailable:
                pass  # The store has logged it.
            except Exception:
                log.exception("the task after a flush of last uses failed")

    def _write_all(self) -> Counter[DocumentFailure]:
        """Write all notes in batches, the least recently used keys first. Returns the failures by kind."""
        with self._lock:
            due = list(self._moments.items())
        failures = Counter[DocumentFailure]()
        for start in range(0, len(due), BATCH_KEYS):
            batch = dict(due[start : start + BATCH_KEYS])
            failed = self._write(batch)
            self._drop({key_id: moment for key_id, moment in batch.items() if key_id not in failed})
            failures.update(failed.values())
        return failures

    def _drop(self, written: Mapping[int, datetime]) -> None:
        """Forget the stored uses, unless a key was used again since."""
        with self._lock:
            for key_id, moment in written.items():
                if self._moments.get(key_id) == moment:
                    del self._moments[key_id]

    def _write(self, batch: Mapping[int, datetime]) -> dict[int, DocumentFailure]:
        """Store the moments that are later than the stored ones. Returns the failures by key id."""
        current = self._meta.get_many([USAGE.doc_id(key_id) for key_id in batch])
        documents = []
        for key_id, moment in batch.items():
            doc_id, last_used_at = USAGE.doc_id(key_id), stamp(moment)
            first = {"type": USAGE.name, "key": key_id, "last_used_at": ""}
            stored = current.get(doc_id) or new_document(doc_id, first)
            if stored["last_used_at"] < last_used_at:
                documents.append({**stored, "last_used_at": last_used_at})
        outcomes = self._meta.write_many(documents)
        return {USAGE.public_id(i): outcome for i, outcome in outcomes.items() if isinstance(outcome, DocumentFailure)}

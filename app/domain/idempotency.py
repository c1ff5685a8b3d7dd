"""Requests that may be repeated: the request and the response of each Idempotency-Key, for 24 hours.

A record is created before anything else, by one request alone: only a new document's 201 is proof. It holds the ids and
the write id of the request, by which a repetition after a crash finds the finished writes.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Event
from typing import Any

from app.domain.resources import stamp
from app.errors import Conflict, IdempotencyInProgress, IdempotencyMismatch, Unavailable, Unconfirmed
from app.store import Database, DocumentFailure, Revision
from app.store.confirmed_writes import ConfirmedWrites, after_a_write
from app.store.items import ItemWrite, StoredItem, WriteId

log = logging.getLogger("dreamscript.idempotency")

RETENTION = timedelta(hours=24)
# The difference between two hosts' clocks: the writes of a run are looked for from this long before its record.
CLOCK_SKEW = timedelta(minutes=1)
# Records that are deleted in one request, and seconds after which a sweep leaves the rest to the next one.
SWEEP_SIZE = 500
MAX_SWEEP_SECONDS = 30.0


@dataclass(frozen=True)
class StoredAnswer:
    """A stored response."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Begun:
    """A request that may be carried out: its stored record, and the id of its writes."""

    record: StoredItem
    write_id: WriteId


class Idempotency:
    """The records, in ``meta``. After ``lease`` seconds, more than its deadline, a repetition takes a request over."""

    def __init__(self, meta: Database, lease: float, now: Callable[[], datetime]) -> None:
        self._meta, self._writes, self._now = meta, ConfirmedWrites(meta, reuses_ids=True), now
        self._lease = timedelta(seconds=lease)

    def begin(
        self, principal: str, key: str, request: str, reserve: Callable[[], tuple[int, ...]]
    ) -> Begun | StoredAnswer:
        """Return the stored response, else let the request be carried out.

        ``request`` is a digest of the request, and ``reserve`` returns the ids for its new items. Raises
        IdempotencyMismatch, IdempotencyInProgress and Unavailable.
        """
        doc_id = f"idempotency:{sha256(f'{principal} {key}'.encode()).hexdigest()}"
        stored = self._find(doc_id)
        replaces = stored.revision if stored else None
        record = stored.fields if stored else None
        if record is None or self._is_expired(record):
            head = {"type": "idempotency", "request": request, "attempt": uuid.uuid4().hex, "ids": list(reserve())}
            fields = {**head, "created_at": stamp(self._now()), **self._leased()}
            return self._claim(ItemWrite(doc_id, fields, WriteId(), replaces), resumed=False)
        if record["request"] != request:
            raise IdempotencyMismatch
        if "answer" in record:
            return StoredAnswer(**record["answer"])
        if record["leased_until"] > stamp(self._now()):
            raise IdempotencyInProgress
        return self._claim(ItemWrite(doc_id, {**record, **self._leased()}, WriteId(), replaces), resumed=True)

    def finish(self, begun: Begun, answer: StoredAnswer) -> StoredAnswer:
        """Store an answer; return it, or the one that another request stored meanwhile. Raises Unconfirmed."""
        members = {"status": answer.status, "headers": dict(answer.headers), "body": answer.body}
        with after_a_write():
            try:
                self._update(begun, answer=members)
            except Conflict as conflict:
                record = self._find(begun.record.doc_id)
                if record is None or "answer" not in record.fields:
                    raise Unconfirmed from conflict
                return StoredAnswer(**record.fields["answer"])
        return answer

    def release(self, begun: Begun) -> None:
        """Let the request be repeated at once: its answer is not stored."""
        with suppress(Conflict, Unavailable):
            self._update(begun, leased_until=begun.record.fields["created_at"])

    def sweep(self, ending: Event | None = None) -> int:
        """Delete expired records, the oldest first, until the time is up or ``ending`` is set; return their number.

        A record that another process deletes at the same time is a conflict, and skipped. Raises Unavailable.
        """
        expired, ends = stamp(self._now() - RETENTION), time.monotonic() + MAX_SWEEP_SECONDS
        counts, start, is_full = Counter[DocumentFailure | None](), "", True
        while is_full and not (ending and ending.is_set()):
            # Expired records were indexed long ago, so that the sweep need not wait for the index.
            rows = self._meta.view("expiry", "by_time", startkey=start, endkey=expired, limit=SWEEP_SIZE, stale_ok=True)
            outcomes = self._meta.delete_many([Revision(row.id, row.value["rev"]) for row in rows])
            counts.update(each if isinstance(each, DocumentFailure) else None for each in outcomes.values())
            # The view may still show deleted records, so that the next read begins after these.
            is_full = len(rows) == SWEEP_SIZE and rows[-1].key > start and time.monotonic() < ends
            start = rows[-1].key if rows else start
        if refused := counts[DocumentFailure.FORBIDDEN]:
            log.error("the database refused to delete expired idempotency records", extra={"records": refused})
        return counts[None]

    def _find(self, doc_id: str) -> StoredItem | None:
        document = self._meta.get(doc_id)
        return None if document is None else StoredItem.of(document)

    def _update(self, begun: Begun, **members: Any) -> None:
        record = begun.record
        self._writes.store(ItemWrite(record.doc_id, {**record.fields, **members}, WriteId(), record.revision))

    def _claim(self, write: ItemWrite, *, resumed: bool) -> Begun:
        """Store a record, new or taken over; another request may come first. Raises IdempotencyInProgress."""
        try:
            record = self._writes.store(write)
        except Conflict as conflict:
            raise IdempotencyInProgress from conflict
        fields = record.fields
        since = stamp(datetime.fromisoformat(fields["created_at"]) - CLOCK_SKEW) if resumed else None
        return Begun(record, WriteId(tuple(fields["ids"]), fields["attempt"], since))

    def _leased(self) -> dict[str, str]:
        return {"leased_until": stamp(self._now() + self._lease)}

    def _is_expired(self, record: Mapping[str, Any]) -> bool:
        return bool(record["created_at"] <= stamp(self._now() - RETENTION))

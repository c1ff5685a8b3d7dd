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

from app.domain.clock import stamp
from app.errors import Conflict, IdempotencyInProgress, IdempotencyMismatch, Unavailable, Unconfirmed
from app.store import Database, DocumentFailure, Revision
from app.store.confirmed_writes import ConfirmedWrites, after_a_write
from app.store.items import ItemWrite, StoredItem
from app.store.write_id import WriteId

log = logging.getLogger("dreamscript.idempotency")

KEPT = timedelta(hours=24)
# The difference between two hosts' clocks: the writes of a run are looked for from this long before its record.
CLOCK_SKEW = timedelta(minutes=1)
# How many records are removed at once, and after how many seconds a sweep leaves the rest to the next one.
SWEPT = 500
LONGEST_SWEEP = 30.0


@dataclass(frozen=True)
class Answer:
    """What was answered: status, headers and body."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Begun:
    """A request that may go on: its record as it is stored, and what it writes with."""

    record: StoredItem
    write_id: WriteId


class Idempotency:
    """The records, in ``meta``. After ``lease`` seconds, more than its deadline, a request is taken over by another."""

    def __init__(self, meta: Database, lease: float, now: Callable[[], datetime]) -> None:
        self._meta, self._writes, self._now = meta, ConfirmedWrites(meta, reuses_ids=True), now
        self._lease = timedelta(seconds=lease)

    def begin(self, principal: str, key: str, request: str, reserve: Callable[[], tuple[int, ...]]) -> Begun | Answer:
        """Return what was answered before, else let the request go on; ``request`` is a digest of what it asks.

        ``reserve`` returns the ids that it will need. Raises IdempotencyMismatch, IdempotencyInProgress and
        Unavailable.
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
            return Answer(**record["answer"])
        if record["leased_until"] > stamp(self._now()):
            raise IdempotencyInProgress
        return self._claim(ItemWrite(doc_id, {**record, **self._leased()}, WriteId(), replaces), resumed=True)

    def finish(self, begun: Begun, answer: Answer) -> Answer:
        """Store an answer; return it, or the one that another request stored meanwhile. Raises Unconfirmed."""
        members = {"status": answer.status, "headers": dict(answer.headers), "body": answer.body}
        with after_a_write():
            try:
                self._update(begun, answer=members)
            except Conflict as conflict:
                record = self._find(begun.record.doc_id)
                if record is None or "answer" not in record.fields:
                    raise Unconfirmed from conflict
                return Answer(**record.fields["answer"])
        return answer

    def release(self, begun: Begun) -> None:
        """Let the request be repeated at once: its answer is not stored."""
        with suppress(Conflict, Unavailable):
            self._update(begun, leased_until=begun.record.fields["created_at"])

    def sweep(self, ending: Event | None = None) -> int:
        """Delete what is over, the oldest first, until its time is over or ``ending`` is set; return how many records.

        Others may do so at the same time: what they have deleted is a conflict, and done. Raises Unavailable.
        """
        over, ends = stamp(self._now() - KEPT), time.monotonic() + LONGEST_SWEEP
        found, start, is_full = Counter[DocumentFailure | None](), "", True
        while is_full and not (ending and ending.is_set()):
            # What is over was indexed long ago, and nothing here waits until what is new is indexed as well.
            rows = self._meta.view("expiry", "by_time", startkey=start, endkey=over, limit=SWEPT, stale_ok=True)
            outcomes = self._meta.delete_many([Revision(row.id, row.value["rev"]) for row in rows])
            found.update(said if isinstance(said, DocumentFailure) else None for said in outcomes.values())
            # The view may show for a while what is deleted already, so that the next rows are those that follow.
            is_full = len(rows) == SWEPT and rows[-1].key > start and time.monotonic() < ends
            start = rows[-1].key if rows else start
        if refused := found[DocumentFailure.FORBIDDEN]:
            log.error("the database did not let records of requests be deleted", extra={"records": refused})
        return found[None]

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
        return bool(record["created_at"] <= stamp(self._now() - KEPT))

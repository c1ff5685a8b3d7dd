"""Leases in `-meta`: one process of a region at a time runs a background job.

On a cluster two processes may hold one lease for a moment (docs/couchdb-quirks.md), and a process that was stopped may
go on after its lease has expired. So a job must be right with two runners, and a lease only saves work.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from app.errors import Conflict
from app.store.database import Database
from app.store.items import new_document

# A lease is renewed in the second half of its time.
LEASE_SECONDS = 30.0


class Lease:
    """One lease, as one process sees it. ``stamp`` returns a moment as RFC 3339 text."""

    def __init__(
        self, meta: Database, name: str, now: Callable[[], datetime], stamp: Callable[[datetime], str]
    ) -> None:
        self._meta, self._now, self._stamp = meta, now, stamp
        self._doc_id, self._fields = f"lease:{name}", {"type": "lease", "name": name, "holder": secrets.token_hex(16)}
        self._renew_at: datetime | None = None

    def hold(self) -> bool:
        """Return whether this process holds the lease; take or renew it if possible. Raises Unavailable."""
        if self._renew_at and self._now() < self._renew_at:
            return True
        self._renew_at = None
        document = self._meta.get(self._doc_id)
        if document and document["holder"] != self._fields["holder"] and document["until"] > self._stamp(self._now()):
            return False
        return self._write(document, LEASE_SECONDS)

    def release(self) -> None:
        """Let another process have the lease at once. Raises Unavailable."""
        if self._renew_at:
            self._renew_at = None
            document = self._meta.get(self._doc_id)
            if document and document["holder"] == self._fields["holder"]:
                self._write(document, 0)

    def _write(self, document: dict[str, Any] | None, seconds: float) -> bool:
        now = self._now()
        fields = {**self._fields, "until": self._stamp(now + timedelta(seconds=seconds))}
        try:
            if document is None:
                self._meta.create(new_document(self._doc_id, fields))
            else:
                self._meta.replace({**document, **fields})
        except Conflict:
            return False
        self._renew_at = now + timedelta(seconds=seconds / 2) if seconds else None
        return True

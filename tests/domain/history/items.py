"""Documents as the service stores them, written one revision after the other."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.resources import DOCUMENT, stamp
from app.store import Database
from app.store.items import WriteId

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def moment(minutes: float) -> str:
    """Return the time that many minutes after START."""
    return stamp(START + timedelta(minutes=minutes))


class History:
    """The revisions of one document: ``revisions`` has all of them, the oldest first."""

    def __init__(self, documents: Database, public_id: int = 7) -> None:
        self._documents, self.doc_id = documents, DOCUMENT.doc_id(public_id)
        self._head = {"type": "document", "id": public_id}
        self.revisions: list[str] = []

    @property
    def current(self) -> dict[str, Any]:
        """The stored document."""
        document = self._documents.get(self.doc_id)
        assert document is not None
        return document

    def write(self, title: str, minutes: float = 0, **members: object) -> str:
        """Store the next revision as the API does; return it."""
        fields = {"title": title, "created_at": moment(0), "updated_by": "p-1", **members}
        return self.store({**self._head, **fields, "updated_at": moment(minutes), "nonce": WriteId().nonce})

    def edit_in_fauxton(self, title: str) -> str:
        """Store the next revision with the hidden members of the current one."""
        return self.store({**self.current, "title": title})

    def delete(self, minutes: float = 0, **members: object) -> str:
        """Leave a tombstone as the API does."""
        hidden = {"updated_at": moment(minutes), "updated_by": "p-2", "nonce": WriteId().nonce}
        return self.store({**self._head, **hidden, **members, "_deleted": True})

    def store(self, document: Mapping[str, Any]) -> str:
        """Store the next revision."""
        previous = {"_rev": self.revisions[-1]} if self.revisions else {}
        self.revisions.append(self._documents.replace({**document, "_id": self.doc_id, **previous}))
        return self.revisions[-1]

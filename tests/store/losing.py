"""A database that loses answers by a script."""

from __future__ import annotations

from typing import Any

from app.errors import Conflict, Unavailable, Unconfirmed
from app.store import Database, DocumentFailure, Outcome


class Losing:
    """A database with a ``script`` of one step per write, an event before or after it."""

    def __init__(self, documents: Database, *script: str) -> None:
        self._database, self._script = documents, list(script)
        self.winners, self.revisions, self.get, self.get_many = (
            documents.winners,
            documents.revisions,
            documents.get,
            documents.get_many,
        )
        self.sent = 0

    def create(self, document: dict[str, Any]) -> str:
        """Store a document, or lose it on the way."""
        return self._write(document)

    def replace(self, document: dict[str, Any]) -> str:
        """Store a revision, or lose it on the way."""
        return self._write(document)

    def write_many(self, documents: list[dict[str, Any]]) -> dict[str, Outcome]:
        """Store documents, or lose them on the way."""
        return {document["_id"]: self._outcome(document) for document in documents}

    def _outcome(self, document: dict[str, Any]) -> Outcome:
        try:
            return self._write(document)
        except Conflict:
            return DocumentFailure.CONFLICT
        except Unconfirmed:
            return DocumentFailure.UNKNOWN

    def _write(self, document: dict[str, Any]) -> str:
        step = self._script.pop(0) if self._script else "pass"
        self.sent += 1
        if step == "superseded":
            current = self._database.get(document["_id"])
            assert current is not None
            self._database.replace({**current, "by": "another"})
        if step == "lost before":
            raise Unconfirmed
        if step == "unreachable":
            raise Unavailable
        revision = self._database.replace(document)
        if step == "deleted":
            self._database.replace({"_id": document["_id"], "_rev": revision, "_deleted": True})
        if step == "followed":
            self._database.replace({"_id": document["_id"], "_rev": revision, "by": "another"})
        if step in ("lost after", "followed", "deleted"):
            raise Unconfirmed
        return revision

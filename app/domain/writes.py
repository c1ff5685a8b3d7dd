"""Writes whose outcome is known: what was cut off, timed out or not stored by a quorum is found out before answering.

Every revision carries a nonce of its write. A write of unknown outcome is sent again as it was: it is refused if it had
arrived, and then the revision that it made is known by its nonce. That revision may be on fewer nodes than a quorum, so
it is written once more on top of itself, for a 201 that proves what was lost (docs/decisions/writes.md).
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

from app.errors import Conflict, ServiceError, Unavailable, Unconfirmed
from app.request_context import remaining
from app.store import Database, DocumentFailure, Outcome

# How often a write is sent again, and the longest pause before the last time, in seconds.
TRIES = 6
LONGEST_PAUSE = 0.3
# How many revisions a repeated request is looked for in.
LOOKED_BACK = 20
# CouchDB takes 8,000,000 bytes in one request, and some go to what is around the documents.
MOST_BYTES = 7_500_000


def pauses() -> Iterator[None]:
    """Yield for each further try, after a random pause that doubles at most, while the request has time for it."""
    for number in range(TRIES):
        pause = random.uniform(0, LONGEST_PAUSE / 2 ** (TRIES - 1 - number))  # noqa: S311
        left = remaining()
        if left is not None and left <= pause:
            return
        time.sleep(pause)
        yield


class Writes:
    """Writes to one database, in which ``_id``s are used ``again`` after a deletion or not."""

    def __init__(self, database: Database, *, again: bool = False) -> None:
        self._database, self._again = database, again

    def store(self, document: Mapping[str, Any], nonce: str | None = None) -> str:
        """Store a new document, or the successor of the revision in `_rev`; return its revision.

        Raises Conflict, also for a new document where a deleted one keeps its ``_id``, Unavailable if nothing was
        stored, and Unconfirmed if that could not be found out.
        """
        document = {**document, "nonce": nonce or uuid.uuid4().hex}
        try:
            return self._send(document)
        except Unconfirmed:
            return self._settle(document)

    def store_many(self, documents: Sequence[Mapping[str, Any]]) -> dict[str, str | ServiceError]:
        """Store documents of different `_id`s, each with a nonce; return by `_id` what ``store`` would of each."""
        pending = {document["_id"]: dict(document) for document in documents}
        results: dict[str, str | ServiceError] = {}
        unsure: set[str] = set()
        for _ in chain((None,), pauses()):
            sent = self._send_many(list(pending.values()))
            lost = {doc_id for doc_id, outcome in sent.items() if outcome is DocumentFailure.UNKNOWN}
            for doc_id in sent.keys() - lost:
                results[doc_id] = self._result(pending.pop(doc_id), sent[doc_id], unsure)
            unsure |= lost
            if not pending:
                break
        return results | dict.fromkeys(pending, Unconfirmed())

    def _send_many(self, documents: list[dict[str, Any]]) -> dict[str, Outcome]:
        """Write documents in requests of at most MOST_BYTES."""
        sent: dict[str, Outcome] = {}
        for part in _parts(documents):
            try:
                sent |= self._database.write_many(part)
            except Unavailable:
                # Of some nothing may have been sent; to send them again tells.
                sent |= {document["_id"]: DocumentFailure.UNKNOWN for document in part}
        return sent

    def _result(self, document: dict[str, Any], outcome: Outcome, unsure: set[str]) -> str | ServiceError:
        """Return what came of a document; a conflict that may be with its own earlier self is looked into."""
        try:
            if isinstance(outcome, str):
                return self._first(document, outcome)
            if outcome is DocumentFailure.CONFLICT:
                return self._settle(document) if document["_id"] in unsure else Conflict()
        except ServiceError as error:
            return error
        return ServiceError()

    def made(self, doc_id: str, nonce: str) -> dict[str, Any] | None:
        """Return the revision of a living document that was written with ``nonce``, as far back as is kept."""
        current = self._database.get(doc_id)
        if current is None or current.get("nonce") == nonce:
            return current
        found = (self._database.get(doc_id, rev=revision) for revision in self._database.history(doc_id)[:LOOKED_BACK])
        return next((document for document in found if document and document.get("nonce") == nonce), None)

    def prove(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return a revision that may be on fewer nodes than a quorum: once more on top of itself, with a 201 for both.

        A revision that others went on from is returned as it is: a quorum has what came of it. Raises Unavailable.
        """
        try:
            return {**document, "_rev": self.store(document, document["nonce"])}
        except Conflict:
            return document

    def _settle(self, document: Mapping[str, Any]) -> str:
        """Find out what became of a write. That a later try does not come through says nothing of the first."""
        before = document.get("_rev")
        for _ in pauses():
            with suppress(Unavailable):
                try:
                    return self._send(document)
                except Conflict:
                    current = self._database.get(document["_id"])
                    if current is None and document.get("_deleted"):
                        # Whoever did it, it is deleted.
                        return str(before)
                    if current is None:
                        raise
                    if current.get("nonce") != document["nonce"]:
                        return self._found_below(document, before)
                    document = {**document, "_rev": self._first(document, current["_rev"])}
        raise Unconfirmed

    def _send(self, document: Mapping[str, Any]) -> str:
        send = self._database.replace if "_rev" in document else self._database.create
        return self._first(document, send(document))

    def _first(self, document: Mapping[str, Any], revision: str) -> str:
        """Return the ``revision`` that ``document`` was stored as, unless a deleted one came back to life with it.

        The database lets a document be made anew over a tombstone; a deleted id stays deleted.
        """
        if "_rev" not in document and not revision.startswith("1-") and not self._again:
            self._database.replace({"_id": document["_id"], "_rev": revision, "_deleted": True})
            raise Conflict
        return revision

    def _found_below(self, document: Mapping[str, Any], before: str | None) -> str:
        """Return the revision that the write made if others have gone on from it, else raise Conflict."""
        generation = 1 + (int(before.partition("-")[0]) if before else 0)
        history = self._database.history(document["_id"])
        revision = next((found for found in history if found.startswith(f"{generation}-")), None)
        made = self._database.get(document["_id"], rev=revision) if revision else None
        if made is None:
            # It is compacted away, and with it whose it was.
            raise Unconfirmed
        if made.get("nonce") != document["nonce"]:
            raise Conflict
        return str(made["_rev"])


def _parts(documents: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the documents in parts of at most MOST_BYTES."""
    part: list[dict[str, Any]] = []
    size = 0
    for document in documents:
        length = len(json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        if part and size + length > MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(document)
        size += length
    if part:
        yield part

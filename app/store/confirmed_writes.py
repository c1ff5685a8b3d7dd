"""Writes whose outcome is known: a cut connection, a timeout or a missing quorum is resolved before answering.

Every revision carries the nonce of its write. A write of unknown outcome is sent again as it was. If it had arrived,
CouchDB refuses it, and its revision is recognised by the nonce. That revision may be on fewer nodes than a quorum, so
it is written once more on top of itself: the 201 for that proves both (docs/decisions/writes.md).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from app.errors import Conflict, ServiceError, Unavailable, Unconfirmed
from app.request_context import remaining
from app.store.bulk_writes import write_in_parts
from app.store.database import Database, Winner
from app.store.exchange import DocumentFailure, Outcome
from app.store.group_commit import GroupCommit
from app.store.items import RESTORED_FROM, ItemWrite, StoredItem, generation_of

# Further tries of a write that has lost a race.
MAX_TRIES = 6
# Tries to resolve an unknown outcome; a request's deadline usually comes first.
MAX_RESENDS = 100
# The share of a request's remaining time that is reserved for the steps after the write.
RESERVED_SHARE = 0.25
# The longest random pause, before the last of MAX_TRIES and before each further resend.
MAX_PAUSE_SECONDS = 0.3
# The fields that a tombstone keeps, so that keys limited to a project can see the deletion.
TOMBSTONE_FIELDS = ("type", "id", "project_id", "updated_at", "updated_by")

Document = Mapping[str, Any]
# A revision, or the reason why there is none.
Result = str | ServiceError


def pauses(tries: int | None = None, reserved_seconds: float = 0.0) -> Iterator[None]:
    """Yield for each further try after a random, growing pause, while the request has more than the reserved time."""
    for number in range(MAX_TRIES if tries is None else tries):
        pause = random.uniform(0, MAX_PAUSE_SECONDS / 2 ** max(0, MAX_TRIES - 1 - number))  # noqa: S311
        seconds_left = remaining()
        if seconds_left is not None and seconds_left - reserved_seconds <= pause:
            return
        time.sleep(pause)
        yield


@contextmanager
def after_a_write() -> Iterator[None]:
    """Raise Unconfirmed instead of Unavailable, since a write is stored already."""
    try:
        yield
    except Unconfirmed:
        raise
    except Unavailable as error:
        raise Unconfirmed from error


class ConfirmedWrites:
    """Writes to one database. With ``reuses_ids`` an `_id` may be created again after its deletion."""

    def __init__(self, database: Database, *, reuses_ids: bool = False) -> None:
        self._database, self._reuses_ids = database, reuses_ids
        self._single = GroupCommit(database)

    def store(self, write: ItemWrite) -> StoredItem:
        """Store one revision.

        Raises Conflict if another write came first or the `_id` is taken or was deleted, Unavailable if nothing was
        stored, and Unconfirmed if that could not be found out in time.
        """
        document = write.document()
        try:
            return write.stored(self._accept(document, self._single.write(document)))
        except Unconfirmed:
            result = self._resolve_unknown([document])[write.doc_id]
        if isinstance(result, ServiceError):
            raise result
        return write.stored(result)

    def store_many(self, writes: Sequence[ItemWrite]) -> dict[str, StoredItem | ServiceError]:
        """Store revisions of different items; return by `_id` what ``store`` would return or raise for each."""
        documents = {write.doc_id: write.document() for write in writes}
        outcomes = write_in_parts(self._database, list(documents.values()))
        results = {doc_id: self._result(document, outcomes[doc_id]) for doc_id, document in documents.items()}
        unknown = [document for doc_id, document in documents.items() if isinstance(results[doc_id], Unavailable)]
        results |= self._resolve_unknown(unknown)
        revisions = ((write, results[write.doc_id]) for write in writes)
        return {write.doc_id: write.stored(it) if isinstance(it, str) else it for write, it in revisions}

    def _result(self, document: Document, outcome: Outcome) -> Result:
        try:
            if isinstance(outcome, str):
                return self._accept(document, outcome)
        except ServiceError as error:
            return error
        errors = {DocumentFailure.CONFLICT: Conflict, DocumentFailure.UNKNOWN: Unconfirmed}
        return errors.get(outcome, ServiceError)()

    def _accept(self, document: Document, revision: str) -> str:
        """Return the ``revision`` that ``document`` was stored as. Raises Conflict for a resurrection."""
        if self._must_be_first(document) and not revision.startswith("1-"):
            self._delete_resurrected(document, revision)
            raise Conflict
        return revision

    def _must_be_first(self, document: Document) -> bool:
        """Return whether a revision of ``document`` on top of a tombstone is a resurrection, not a create.

        CouchDB accepts a new document over a tombstone, but a deleted id stays deleted unless the item is restored.
        """
        return "_rev" not in document and not self._may_follow_tombstone(document)

    def _may_follow_tombstone(self, document: Document) -> bool:
        """Return whether ``document`` may stand on a tombstone, which CouchDB does not accept as its `_rev`."""
        return self._reuses_ids or RESTORED_FROM in document

    def _delete_resurrected(self, document: Document, revision: str) -> None:
        """Delete a resurrected item unless others have changed it since. Raises Unconfirmed: it may be alive."""
        tombstone_fields = {name: document[name] for name in TOMBSTONE_FIELDS if name in document}
        try:
            self._database.replace({**tombstone_fields, "_id": document["_id"], "_rev": revision, "_deleted": True})
        except Conflict:
            pass
        except Unavailable as error:
            raise Unconfirmed from error

    def _resolve_unknown(self, documents: Sequence[Document]) -> dict[str, Result]:
        """Return by `_id` the results of writes whose answers were lost.

        Each is sent again until it is stored or refused, or until most of the request's time is used up. A resend that
        fails shows nothing about those before it.
        """
        results: dict[str, Result] = {}
        reserved_seconds = RESERVED_SHARE * (remaining() or 0)
        # The documents to send again: a write unchanged, or its proof.
        pending = {document["_id"]: document for document in documents}
        for _ in pauses(MAX_RESENDS, reserved_seconds) if documents else ():
            outcomes = write_in_parts(self._database, list(pending.values()))
            resent = {doc_id: self._result(pending[doc_id], outcome) for doc_id, outcome in outcomes.items()}
            refused = [each for each in documents if isinstance(resent.get(each["_id"]), Conflict)]
            results |= {key: result for key, result in resent.items() if not isinstance(result, Conflict | Unavailable)}
            with suppress(Unavailable):
                for doc_id, verdict in self._classify(refused).items():
                    if isinstance(verdict, str | ServiceError):
                        results[doc_id] = verdict
                    else:
                        pending[doc_id] = verdict
            pending = {doc_id: document for doc_id, document in pending.items() if doc_id not in results}
            if not pending:
                break
        return results | {doc_id: Unconfirmed() for doc_id in pending}

    def _classify(self, refused: Sequence[Document]) -> dict[str, Result | Document]:
        """Return by `_id` the result of each refused write, or the document to send as its proof. Raises Unavailable.

        The revision that follows the replaced one shows whose write it was.
        """
        winners = self._database.winners([document["_id"] for document in refused])
        places = {document["_id"]: self._place(document, winners.get(document["_id"])) for document in refused}
        parents = {doc_id: winner.lineage[1] for doc_id, winner in winners.items() if len(winner.lineage) > 1}
        revision_ids = {(doc_id, revision) for doc_id, revision in (*places.items(), *parents.items()) if revision}
        bodies = {(each["_id"], each["_rev"]): each for each in self._database.revisions(sorted(revision_ids))}
        verdicts: dict[str, Result | Document] = {}
        for document in refused:
            doc_id = document["_id"]
            made, parent = (bodies.get((doc_id, revision or "")) for revision in (places[doc_id], parents.get(doc_id)))
            verdicts[doc_id] = self._verdict(document, winners.get(doc_id), made, parent)
        return verdicts

    def _place(self, document: Document, winner: Winner | None) -> str | None:
        """Return the revision in the lineage that ``document`` would have made."""
        if winner is None:
            return None
        if self._may_follow_tombstone(document) and "_rev" not in document:
            # It may have any generation, and cannot be distinguished from an earlier one unless it is the newest.
            return winner.lineage[0]
        generation = 1 + generation_of(document.get("_rev", "0-"))
        return next((revision for revision in winner.lineage if generation_of(revision) == generation), None)

    def _verdict(
        self, document: Document, winner: Winner | None, made: Document | None, parent: Document | None
    ) -> Result | Document:
        """Return the result of one refused write, or the document to send as its proof.

        ``made`` is the revision in the write's place and ``parent`` the one below the winner; compaction may have
        removed either.
        """
        if winner is None:
            # It was refused, so a lagging node answered the read; the next try looks again.
            return document
        if winner.document.get("_deleted") and document.get("_deleted"):
            # It is deleted, by this write or another.
            return winner.lineage[0]
        if 1 + generation_of(document.get("_rev", "0-")) > generation_of(winner.lineage[0]):
            return Conflict()
        if made is None:
            return Unconfirmed()
        is_alive = winner.document.get("nonce") == document["nonce"] and not winner.document.get("_deleted")
        is_own = made.get("nonce") == document["nonce"]
        is_over_tombstone = not is_own or bool((parent or {}).get("_deleted"))
        if is_alive and self._must_be_first(document) and is_over_tombstone:
            # Others may have deleted its own first revision before it arrived again.
            self._delete_resurrected(document, winner.lineage[0])
            is_alive = False
        if is_own:
            return {**document, "_rev": winner.lineage[0]} if is_alive else str(made["_rev"])
        return Conflict()

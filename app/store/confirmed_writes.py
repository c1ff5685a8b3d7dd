"""Writes whose outcome is known: what was cut off, timed out or not stored by a quorum is found out before answering.

Every revision carries a nonce of its write. A write of unknown outcome is sent again as it was: it is refused if it had
arrived, and then the revision that it made is known by its nonce. That revision may be on fewer nodes than a quorum, so
it is written once more on top of itself, for a 201 that proves what was lost (docs/decisions/writes.md). One or many,
what is lost is found out together.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from app.errors import Conflict, ServiceError, Unavailable, Unconfirmed
from app.request_context import remaining
from app.store.database import Database, Leaf
from app.store.group_commit import GroupCommit
from app.store.outcomes import DocumentFailure, Outcome

# How often a lost race is run again.
TRIES = 6
# How often it is looked for what became of a lost write; in a request its time is usually over before.
LOOKS = 100
# What is left to a request of its time when it stops looking, since there may be more to do.
SPARED = 0.25
# Seconds of the longest pause, before the last of so many tries and before each further look.
LONGEST_PAUSE = 0.3
# CouchDB takes 8,000,000 bytes in one request, and some go to what is around the documents.
MOST_BYTES = 7_500_000
# What a tombstone keeps of a document, so that its deletion can be scoped.
KEPT = ("type", "id", "project_id", "updated_at")

Result = str | ServiceError


def pauses(tries: int | None = None, spared: float = 0.0) -> Iterator[None]:
    """Yield for each further try, after a random pause that doubles at most, while the request has time for it.

    So many seconds are ``spared``.
    """
    for number in range(TRIES if tries is None else tries):
        pause = random.uniform(0, LONGEST_PAUSE / 2 ** max(0, TRIES - 1 - number))  # noqa: S311
        left = remaining()
        if left is not None and left - spared <= pause:
            return
        time.sleep(pause)
        yield


@contextmanager
def after_a_write() -> Iterator[None]:
    """Let whatever is not answered inside say that something is stored already. Raises Unconfirmed."""
    try:
        yield
    except Unconfirmed:
        raise
    except Unavailable as error:
        raise Unconfirmed from error


class ConfirmedWrites:
    """Writes to one database, in which ``_id``s are used ``again`` after a deletion or not."""

    def __init__(self, database: Database, *, again: bool = False) -> None:
        self._database, self._again = database, again
        self._single = GroupCommit(database)

    def store(self, document: Mapping[str, Any], nonce: str | None = None) -> str:
        """Store a new document, or the successor of the revision in `_rev`; return its revision.

        Raises Conflict, also for a new document where a deleted one keeps its ``_id``, Unavailable if nothing was
        stored, and Unconfirmed if that could not be found out.
        """
        document = {**document, "nonce": nonce or uuid.uuid4().hex}
        send = self._single.replace if "_rev" in document else self._single.create
        try:
            return self._first(document, send(document))
        except Unconfirmed:
            result = self._found_out([document])[document["_id"]]
        if isinstance(result, ServiceError):
            raise result
        return result

    def store_many(self, documents: Sequence[Mapping[str, Any]]) -> dict[str, Result]:
        """Store documents of different `_id`s, each with a nonce; return by `_id` what ``store`` would of each."""
        outcomes = self._send(documents)
        results = {each["_id"]: self._result(each, outcomes[each["_id"]]) for each in documents}
        # Those too that came to life over a tombstone and could not be buried.
        lost = [each for each in documents if isinstance(results[each["_id"]], Unavailable)]
        return results | self._found_out(lost)

    def _send(self, documents: Sequence[Mapping[str, Any]]) -> dict[str, Outcome]:
        """Write documents in requests of at most MOST_BYTES."""
        sent: dict[str, Outcome] = {}
        for part in _parts(documents):
            try:
                sent |= self._database.write_many(part)
            except Unavailable:
                # Of some nothing may have been sent; to send them again tells.
                sent |= {document["_id"]: DocumentFailure.UNKNOWN for document in part}
        return sent

    def _result(self, document: Mapping[str, Any], outcome: Outcome) -> Result:
        """Return what came of a document."""
        try:
            if isinstance(outcome, str):
                return self._first(document, outcome)
        except ServiceError as error:
            return error
        found = {DocumentFailure.CONFLICT: Conflict, DocumentFailure.UNKNOWN: Unconfirmed}
        return found.get(outcome, ServiceError)()

    def _first(self, document: Mapping[str, Any], revision: str) -> str:
        """Return the ``revision`` that ``document`` was stored as, unless a deleted one came back to life with it.

        The database lets a document be made anew over a tombstone; a deleted id stays deleted.
        """
        if "_rev" not in document and not revision.startswith("1-") and not self._again:
            self._bury(document, revision)
            raise Conflict
        return revision

    def _bury(self, document: Mapping[str, Any], revision: str) -> None:
        """Delete what came back to life, unless others have gone on from it. Raises Unconfirmed: it may be alive."""
        kept = {name: document[name] for name in KEPT if name in document}
        try:
            self._database.replace({**kept, "_id": document["_id"], "_rev": revision, "_deleted": True})
        except Conflict:
            pass
        except Unavailable as error:
            raise Unconfirmed from error

    def _found_out(self, lost: Sequence[Mapping[str, Any]]) -> dict[str, Result]:
        """Return what became of writes whose answers were lost, by `_id`.

        Each is sent again until it is stored or refused, or most of the request's time is over; that a try does not
        come through says nothing of those before it.
        """
        results: dict[str, Result] = {}
        spared = SPARED * (remaining() or 0)
        # What is sent again: a write as it was, or its proof.
        pending = {document["_id"]: document for document in lost}
        for _ in pauses(LOOKS, spared) if lost else ():
            found = {
                doc_id: self._result(pending[doc_id], outcome)
                for doc_id, outcome in self._send(list(pending.values())).items()
            }
            refused = [each for each in lost if isinstance(found.get(each["_id"]), Conflict)]
            open_still = {doc_id for doc_id, result in found.items() if isinstance(result, Conflict | Unavailable)}
            results |= {doc_id: result for doc_id, result in found.items() if doc_id not in open_still}
            with suppress(Unavailable):
                for doc_id, verdict in self._judged(refused).items():
                    if isinstance(verdict, str | ServiceError):
                        results[doc_id] = verdict
                    else:
                        pending[doc_id] = verdict
            pending = {doc_id: document for doc_id, document in pending.items() if doc_id not in results}
            if not pending:
                break
        return results | {doc_id: Unconfirmed() for doc_id in pending}

    def _judged(self, refused: Sequence[Mapping[str, Any]]) -> dict[str, Result | Mapping[str, Any]]:
        """Return by `_id` what became of writes that are refused now: a result, or what proves that one is stored.

        What follows the revision that a write replaces tells whose it is. Raises Unavailable.
        """
        leaves = self._database.leaves([document["_id"] for document in refused])
        places = {document["_id"]: self._place(document, leaves.get(document["_id"])) for document in refused}
        below = {doc_id: leaf.lineage[1] for doc_id, leaf in leaves.items() if len(leaf.lineage) > 1}
        wanted = {(doc_id, place) for doc_id, place in (*places.items(), *below.items()) if place}
        kept = {(each["_id"], each["_rev"]): each for each in self._database.revisions(sorted(wanted))}

        def verdict(document: Mapping[str, Any]) -> Result | Mapping[str, Any]:
            doc_id = document["_id"]
            made, before = (kept.get((doc_id, place or "")) for place in (places[doc_id], below.get(doc_id)))
            return self._verdict(document, leaves.get(doc_id), made, before)

        return {document["_id"]: verdict(document) for document in refused}

    def _place(self, document: Mapping[str, Any], leaf: Leaf | None) -> str | None:
        """Return the revision that a write made, if it made one and the lineage reaches back to it."""
        if leaf is None:
            return None
        if self._again and "_rev" not in document:
            # It may have begun anew at any place, and only as the last one can it be told from what was before.
            return leaf.lineage[0]
        generation = 1 + _generation(document.get("_rev", "0-"))
        return next((revision for revision in leaf.lineage if _generation(revision) == generation), None)

    def _verdict(
        self,
        document: Mapping[str, Any],
        leaf: Leaf | None,
        made: Mapping[str, Any] | None,
        before: Mapping[str, Any] | None,
    ) -> Result | Mapping[str, Any]:
        """Return what became of one write, of which ``made`` is what is found in its place, None if it is not kept.

        ``before`` is what the last revision was made on top of, None if it is the first or that is not kept.
        """
        if leaf is None:
            # Something refused it, and the read has missed that; the next try looks again.
            return document
        is_last = leaf.document.get("nonce") == document["nonce"]
        if leaf.document.get("_deleted") and document.get("_deleted"):
            # Whoever did it, it is deleted.
            return leaf.lineage[0]
        if 1 + _generation(document.get("_rev", "0-")) > _generation(leaf.lineage[0]):
            return Conflict()
        if made is None:
            # It is compacted away, and with it whose it was.
            return Unconfirmed()
        is_alive = is_last and not leaf.document.get("_deleted")
        is_its_own = made.get("nonce") == document["nonce"]
        is_over_tombstone = not is_its_own or bool((before or {}).get("_deleted"))
        if is_alive and "_rev" not in document and not self._again and is_over_tombstone:
            # It came to life again, and what took it back did not come through. Others may have deleted its own first.
            self._bury(document, leaf.lineage[0])
            is_alive = False
        if is_its_own:
            return {**document, "_rev": leaf.lineage[0]} if is_alive else str(made["_rev"])
        return Conflict()


def _generation(revision: str) -> int:
    return int(revision.partition("-")[0])


def _parts(documents: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield the documents in parts of at most MOST_BYTES."""
    part: list[Mapping[str, Any]] = []
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

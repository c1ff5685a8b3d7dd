"""One database: single documents, ranges of `_id`s, and views."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from app.couch.deadline import IdleTimeout
from app.errors import Conflict
from app.store.exchange import DocumentFailure, Exchange, Outcome
from app.store.feed import FeedPart, FeedRow, read_part

# An absent key. None is a key, which sorts before all others.
NOT_GIVEN: Any = object()
# Makes the context that one write to these `_id`s runs in. Those whose outcome stays unknown are put into its set.
CountWrites = Callable[[Collection[str]], AbstractContextManager[set[str]]]
# A view is waited for until the deadline of the request, or this long outside of one: its index may have to catch up.
INDEX_SECONDS = 60.0
# Changes in one response, without and with their documents.
MAX_CHANGES, MAX_DOCUMENTS = 1000, 100
# The time between two heartbeats of a feed.
HEARTBEAT_SECONDS = 1


@dataclass(frozen=True)
class Row:
    """A row of a view."""

    id: str
    key: Any
    value: Any


@dataclass(frozen=True)
class Revision:
    """A row of `_all_docs`: a document's `_id` and its winning revision."""

    id: str
    rev: str


@dataclass(frozen=True)
class Winner:
    """The winning revision of a document, a tombstone included, and the revisions up to it, the latest first."""

    lineage: list[str]
    document: dict[str, Any]


class Database:
    """All of it raises Unavailable when CouchDB gives no usable answer within the deadline.

    Each write runs inside ``count_writes``, so that caches know of it.
    """

    def __init__(self, exchange: Exchange, count_writes: CountWrites | None = None) -> None:
        self._exchange, self._count_writes = exchange, count_writes or (lambda _: nullcontext(set()))

    @property
    def name(self) -> str:
        """The database's full name."""
        return self._exchange.name

    def get(self, doc_id: str, *, conflicts: bool = False) -> dict[str, Any] | None:
        """Return a document with its `_id` and `_rev`, or None if it is absent or deleted.

        With ``conflicts``, `_conflicts` lists its other live leaves, if there are any.
        """
        return self._exchange.find(doc_id, params={"conflicts": True} if conflicts else None)

    def get_many(self, doc_ids: Sequence[str], *, conflicts: bool = False) -> dict[str, dict[str, Any]]:
        """Return the existing documents by `_id`, read in one request, with ``conflicts`` as ``get`` does."""
        if not doc_ids:
            return {}
        params = {"include_docs": True, **({"conflicts": True} if conflicts else {})}
        documents = _documents(self._exchange.rows("_all_docs", params=params, keys=doc_ids))
        return {document["_id"]: document for document in documents}

    def winners(self, doc_ids: Sequence[str], *, deleted_only: bool = False) -> dict[str, Winner]:
        """Return by `_id` the winning revision of each existing or deleted document, read in two requests."""
        if not doc_ids:
            return {}
        rows = [row for row in self._exchange.rows("_all_docs", params={}, keys=doc_ids) if "value" in row]
        rows = [row for row in rows if row["value"].get("deleted") or not deleted_only]
        winners = [(row["id"], row["value"]["rev"]) for row in rows]
        documents = self._exchange.revisions(winners, revs=True)
        return {each["_id"]: Winner(lineage_of(each.pop("_revisions")), each) for each in documents}

    def revisions(self, revision_ids: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """Return those of the revisions, each an `_id` and a `_rev`, whose bodies still exist, read in one request.

        Compaction removes the bodies of older revisions.
        """
        return self._exchange.revisions(revision_ids)

    def taken(self, doc_ids: Sequence[str]) -> set[str]:
        """Return those of the `_id`s that a document has or had: a deleted one counts."""
        if not doc_ids:
            return set()
        rows = self._exchange.rows("_all_docs", params={}, keys=doc_ids)
        return {row["id"] for row in rows if "value" in row}

    def create(self, document: Mapping[str, Any]) -> str:
        """Store a document under its new `_id`; return its revision.

        Raises Conflict if the `_id` is taken, and Unavailable if a quorum may not have the document: CouchDB's 202 is
        no success (docs/couchdb-quirks.md). A tombstone does not take an `_id`: CouchDB accepts a document over it.
        """
        return self._write(document)

    def replace(self, document: Mapping[str, Any]) -> str:
        """Store the next revision of the document whose `_rev` is given; return it. Raises Conflict."""
        return self._write(document)

    def write_many(self, documents: Sequence[Mapping[str, Any]]) -> dict[str, Outcome]:
        """Store documents in one request, each new or the next revision of the `_rev` in it.

        Returns by `_id` the revision, or the reason why there is none: each is stored or not independently. Raises
        Unavailable if no outcome is known, and ValueError for two documents with one `_id`, whose outcomes look alike.
        """
        doc_ids = [document["_id"] for document in documents]
        if len(set(doc_ids)) < len(doc_ids):
            raise ValueError("two documents have the same _id")
        if not documents:
            return {}
        with self._count_writes(doc_ids) as unknown:
            by_id = self._exchange.write_many(documents)
            unknown.update(doc_id for doc_id, outcome in by_id.items() if outcome is DocumentFailure.UNKNOWN)
        return by_id

    def delete_many(self, revisions: Sequence[Revision]) -> dict[str, Outcome]:
        """Delete documents in one request, leaving bare tombstones; return as ``write_many`` does."""
        return self.write_many([{"_id": each.id, "_rev": each.rev, "_deleted": True} for each in revisions])

    def view(
        self,
        design: str,
        view: str,
        *,
        keys: Sequence[Any] | None = None,
        startkey: Any = NOT_GIVEN,
        endkey: Any = NOT_GIVEN,
        descending: bool = False,
        limit: int | None = None,
        stale_ok: bool = False,
        seconds: float | None = None,
    ) -> list[Row]:
        """Return rows of a view: those of ``keys`` in their order, or of a range with both ends included.

        The answer waits until the index has all earlier writes. If ``stale_ok``, return the rows that are indexed
        already; the index is updated afterwards. A caller with another source gives up after ``seconds``, and a failure
        is then only a warning in the log.
        """
        given = {
            "startkey": startkey,
            "endkey": endkey,
            "descending": descending or NOT_GIVEN,
            "limit": NOT_GIVEN if limit is None else limit,
            # The older name of CouchDB's update=lazy, which PouchDB Server does not know.
            "stale": "update_after" if stale_ok else NOT_GIVEN,
        }
        params = {"reduce": False} | {name: value for name, value in given.items() if value is not NOT_GIVEN}
        path, members = ("_design", design, "_view", view), ("id", "key", "value")
        level = logging.ERROR if seconds is None else logging.WARNING
        wait = seconds or (None if stale_ok else INDEX_SECONDS)
        rows = self._exchange.rows(*path, params=params, keys=keys, members=members, seconds=wait, failure_level=level)
        return [Row(row["id"], row["key"], row["value"]) for row in rows]

    def ids(self, startkey: str, endkey: str, *, limit: int, descending: bool = False) -> list[Revision]:
        """Return up to ``limit`` documents by `_id`, both ends included, without their contents."""
        params = {"startkey": startkey, "endkey": endkey, "limit": limit, "descending": descending}
        rows = self._exchange.rows("_all_docs", params=params, members=("id", "value"))
        return [Revision(row["id"], row["value"]["rev"]) for row in rows]

    def sequence(self) -> object:
        """Return the database's present update sequence, which is opaque."""
        return self._exchange.send("GET", members=("update_seq",))["update_seq"]

    def present_place(self) -> int | str:
        """Return the present place as the rows of the feed write it; ``sequence`` may be another text for it."""
        return read_part(self._exchange, {"since": "now", "limit": 1}, 1, with_documents=False).sequence

    def changed_since(self, sequence: object, *, limit: int) -> tuple[list[str], object]:
        """Return the `_id`s of up to ``limit`` documents that changed after ``sequence``, and where they end."""
        params = {"since": sequence, "limit": limit}
        changes = self._exchange.send("GET", "_changes", members=("results", "last_seq"), params=params)
        return [change["id"] for change in changes["results"]], changes["last_seq"]

    def await_changes(
        self, sequence: object, silence: float, is_needed: Callable[[], bool], *, with_documents: bool = False
    ) -> FeedPart:
        """Return the changes after ``sequence`` once there is one; up to MAX_CHANGES, or MAX_DOCUMENTS with documents.

        The database sends a heartbeat each second; without one for ``silence`` seconds the connection is lost. When
        ``is_needed`` returns False, the wait ends with the next heartbeat, or at once if the store is closed.
        """
        limit = MAX_DOCUMENTS if with_documents else MAX_CHANGES
        params = {"since": sequence, "feed": "longpoll", "heartbeat": 1000 * HEARTBEAT_SECONDS, "limit": limit}
        timeout = IdleTimeout(silence, is_needed)
        return read_part(self._exchange, params, limit, with_documents=with_documents, timeout=timeout)

    def read_changes(self, sequence: object) -> FeedPart:
        """Return up to MAX_DOCUMENTS changes after ``sequence`` with their documents, perhaps none."""
        params = {"since": sequence, "limit": MAX_DOCUMENTS}
        return read_part(self._exchange, params, MAX_DOCUMENTS, with_documents=True)

    def latest_changes(self) -> tuple[FeedRow, ...]:
        """Return the last MAX_DOCUMENTS changes with their documents; those of different shards come in any order."""
        params = {"descending": True, "limit": MAX_DOCUMENTS}
        return read_part(self._exchange, params, MAX_DOCUMENTS, with_documents=True).rows

    def last_id(self, startkey: str, endkey: str) -> str | None:
        """Return the highest `_id` in a range, both ends included."""
        rows = self.ids(endkey, startkey, limit=1, descending=True)
        return rows[0].id if rows else None

    def design_documents(self) -> dict[str, dict[str, Any]]:
        """Return the design documents by name."""
        params = {"startkey": "_design/", "endkey": "_design0", "include_docs": True}
        documents = _documents(self._exchange.rows("_all_docs", params=params))
        return {document["_id"].removeprefix("_design/"): document for document in documents}

    def probe_write(self, name: str) -> None:
        """Write the local document ``name``, which is neither validated, indexed nor replicated."""
        probe = self._exchange.find("_local", name)
        # A conflict means that another probe was written at this moment, so writes succeed.
        with suppress(Conflict):
            self._exchange.send("PUT", "_local", name, body={"_rev": probe["_rev"]} if probe else {})

    def _write(self, document: Mapping[str, Any]) -> str:
        with self._count_writes([document["_id"]]):
            stored = self._exchange.send("PUT", document["_id"], members=("rev",), body=dict(document))
        return str(stored["rev"])


def _documents(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the documents in rows; a row of an absent or deleted document has none."""
    return [row["doc"] for row in rows if row.get("doc")]


def lineage_of(revisions: Mapping[str, Any]) -> list[str]:
    """Return the revisions that `_revisions` lists, the latest first."""
    start = revisions["start"]
    return [f"{start - age}-{digest}" for age, digest in enumerate(revisions["ids"])]

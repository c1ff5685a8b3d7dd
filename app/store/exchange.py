"""Requests to one database, within the deadline and under the request's id, and their outcomes and failures."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

from app.couch.connection import AnswerLost, Cancelled, Connection, CouchResponse, DatabaseError, Refused
from app.errors import Conflict, Unavailable, Unconfirmed
from app.request_context import current_request_id, remaining
from app.store.observation import Observe, kind_of, outcome_of, unobserved

log = logging.getLogger("dreamscript.store")

# A request to CouchDB waits no longer, so that a second can follow within the deadline (docs/couchdb-quirks.md).
TIMEOUT_SECONDS = 3.0
# A bulk write waits this much longer for each document, since sending a thousand again takes as long again. Twice as
# many documents may be written beside it (app/store/bulk_writes.py).
SECONDS_PER_DOCUMENT = 0.009
# Writes many documents; unlike a POST of keys it changes something.
BULK = ("_bulk_docs",)
# The reasons of a 404 for a document; a missing database has another.
ABSENT = ("missing", "deleted")


class DocumentFailure(Enum):
    """Why there is no new revision. After UNKNOWN the document may be stored all the same."""

    CONFLICT = "conflict"
    FORBIDDEN = "forbidden"
    UNKNOWN = "unknown"


# The errors of documents that CouchDB certainly did not store; its validators throw the last two.
REFUSALS = {
    "conflict": DocumentFailure.CONFLICT,
    "forbidden": DocumentFailure.FORBIDDEN,
    "unauthorized": DocumentFailure.FORBIDDEN,
}

Outcome = str | DocumentFailure


class Exchange:
    """Sends requests to the database ``name`` and returns JSON objects.

    Every method raises Conflict for a 409, Unconfirmed for a write of unknown outcome, and Unavailable for all other
    failures: a client can do nothing about a missing database or missing credentials.
    """

    def __init__(self, connection: Connection, name: str, observe: Observe = unobserved) -> None:
        self._connection, self.name, self._observe = connection, name, observe

    def send(self, method: str, *path: str, members: Sequence[str] = (), **options: Any) -> dict[str, Any]:
        """Return the body of the response, which has ``members``; ``options`` are those of Connection.request."""
        with self._translated(method, path):
            return _holding(self._ask(method, path, **options).body, *members)

    def find_list(self, *path: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the list of objects at ``path``, an empty one if there never was such a document."""
        with self._translated("GET", path):
            try:
                body = self._ask("GET", path, params=params).body
            except Refused as refusal:
                if refusal.status == 404 and refusal.reason in ABSENT:
                    return []
                raise
            return [_holding(each) for each in _list({"body": body}, "body")]

    def find(self, *path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """Return the document at ``path``, None if it is absent or deleted."""
        with self._translated("GET", path):
            try:
                return _holding(self._ask("GET", path, params=params).body, "_id", "_rev")
            except Refused as refusal:
                if refusal.status == 404 and refusal.reason in ABSENT:
                    return None
                raise

    def rows(
        self,
        *path: str,
        params: Mapping[str, Any],
        keys: Sequence[Any] | None = None,
        members: Sequence[str] = ("key",),
        seconds: float | None = None,
        failure_level: int = logging.ERROR,
    ) -> list[dict[str, Any]]:
        """Return the rows of a view or of `_all_docs`, each of which has ``members``.

        ``keys`` are sent in a body, since a URL is too short for many. The answer may take ``seconds``, TIMEOUT_SECONDS
        if they are None, and never longer than the request's deadline; a failure is logged at ``failure_level``.
        """
        method, body = ("GET", None) if keys is None else ("POST", {"keys": list(keys)})
        with self._translated(method, path, failure_level):
            rows = _list(self._ask(method, path, seconds, params=params, body=body, read=True).body, "rows")
            for row in rows:
                if _holding(row).get("error", "not_found") != "not_found":
                    raise AnswerLost(f"a row could not be read: {row['error']}")
                _holding(row, *members)
            return rows

    def revisions(self, revision_ids: Sequence[tuple[str, str]], *, revs: bool = False) -> list[dict[str, Any]]:
        """Return those of the revisions, each an `_id` and a `_rev`, that still exist; with ``revs``, their ancestors.

        CouchDB marks the others as not found, and PouchDB as missing.
        """
        if not revision_ids:
            # PouchDB Server never answers an empty request.
            return []
        path, params = ("_bulk_get",), {"revs": True} if revs else {}
        docs = [{"id": doc_id, "rev": revision} for doc_id, revision in revision_ids]
        members = ("_id", "_rev", "_revisions") if revs else ("_id", "_rev")
        with self._translated("POST", path):
            results = _list(self._ask("POST", path, params=params, body={"docs": docs}, read=True).body, "results")
            parts = [_holding(each) for result in results for each in _holding(result, "docs")["docs"]]
            for failure in (each["error"] for each in parts if "error" in each):
                if _holding(failure).get("error") != "not_found":
                    raise AnswerLost("a revision could not be read")
            return [_holding(each["ok"], *members) for each in parts if "ok" in each]

    def write_many(self, documents: Sequence[Mapping[str, Any]]) -> dict[str, Outcome]:
        """Write ``documents`` in one request.

        Returns by `_id` the new revision of each, or the reason why there is none. PouchDB Server returns results in
        another order than the documents, so they are matched by `_id`; a document without a result is UNKNOWN.
        """
        with self._translated("POST", BULK):
            seconds = TIMEOUT_SECONDS + SECONDS_PER_DOCUMENT * len(documents)
            answer = self._ask("POST", BULK, seconds, body={"docs": list(documents)})
            results = answer.body
            if not isinstance(results, list) or len(results) != len(documents):
                raise AnswerLost("the answer has not one result for each document")
            # A result without a quorum is marked, and the others have one.
            by_id = {_holding(result).get("id"): _outcome(result) for result in results}
            if answer.status == 202 and not any(result.get("accepted") for result in results):
                raise AnswerLost("202: fewer than a quorum stored some, and it does not say which")
        return {each["_id"]: by_id.get(each["_id"], DocumentFailure.UNKNOWN) for each in documents}

    def _ask(self, method: str, path: tuple[str, ...], seconds: float | None = None, **options: Any) -> CouchResponse:
        seconds_left, request_id = remaining(), current_request_id()
        seconds = TIMEOUT_SECONDS if seconds is None else seconds
        if seconds_left is not None and seconds_left <= 0:
            # Nothing is sent, and that is not the database's failure.
            raise Unavailable
        defaults = {
            "headers": {"X-Couch-Request-ID": request_id} if request_id else None,
            "timeout": seconds if seconds_left is None else min(seconds, seconds_left),
        }
        started, outcome = time.monotonic(), "lost"
        try:
            response = self._connection.request(method, self.name, *path, **defaults | options)
            if response.status == 202 and path != BULK:
                raise AnswerLost("202: fewer than a quorum stored it")
            outcome = "ok"
        except DatabaseError as failure:
            outcome = outcome_of(failure)
            raise
        finally:
            self._observe(kind_of(method, path, options.get("params") or {}), outcome, time.monotonic() - started)
        return response

    @contextmanager
    def _translated(self, method: str, path: tuple[str, ...], failure_level: int = logging.ERROR) -> Iterator[None]:
        try:
            yield
        except Cancelled as failure:
            raise Unavailable from failure
        except DatabaseError as failure:
            if isinstance(failure, Refused) and failure.status == 409:
                raise Conflict from failure
            facts = self._facts(method, path, failure)
            log.log(failure_level, "the database gave no usable answer: %s", failure, extra=facts)
            raise (Unconfirmed if _may_have_written(method, path, failure) else Unavailable) from failure

    def _facts(self, method: str, path: tuple[str, ...], failure: DatabaseError) -> dict[str, object]:
        return {
            "method": method,
            "path": "/".join(("", self.name, *path)),
            "status": failure.status if isinstance(failure, Refused) else None,
            "error": failure.error if isinstance(failure, Refused) else type(failure).__name__,
            "request_id": current_request_id(),
        }


def _may_have_written(method: str, path: tuple[str, ...], failure: DatabaseError) -> bool:
    """Return whether a failed request may have stored something; a node may answer 5xx after passing it on."""
    unknown = isinstance(failure, AnswerLost) or (isinstance(failure, Refused) and failure.status >= 500)
    return unknown and (method == "PUT" or path == BULK)


def _holding(value: Any, *members: str) -> dict[str, Any]:
    """Return ``value`` as an object with ``members``. Raises AnswerLost if it is none."""
    if not isinstance(value, dict):
        raise AnswerLost("the answer is not a JSON object")
    if missing := [member for member in members if member not in value]:
        raise AnswerLost(f"the answer lacks {' and '.join(missing)}")
    return value


def _outcome(result: Mapping[str, Any]) -> Outcome:
    """Return the outcome in one result; "accepted" marks documents that fewer nodes than a quorum have stored."""
    if "error" in result:
        return REFUSALS.get(result["error"], DocumentFailure.UNKNOWN)
    if "rev" not in result or result.get("accepted"):
        return DocumentFailure.UNKNOWN
    return str(result["rev"])


def _list(value: Any, member: str) -> list[Any]:
    """Return the array that is the ``member`` of an object. Raises AnswerLost if there is none."""
    items = _holding(value, member)[member]
    if not isinstance(items, list):
        raise AnswerLost(f"the {member} are no array")
    return items

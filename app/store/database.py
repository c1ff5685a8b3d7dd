"""One CouchDB database: single documents, ranges of `_id`s, and views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.errors import Conflict, Unavailable
from app.store.exchange import Exchange
from couchapp.connection import Answer


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


class Database:
    """All of it raises Unavailable when CouchDB gives no usable answer within the deadline."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    @property
    def name(self) -> str:
        """The database's full name."""
        return self._exchange.name

    def get(self, doc_id: str) -> dict[str, Any] | None:
        """Return a document with its `_id` and `_rev`, or None if it is absent or deleted."""
        answer = self._exchange.send("GET", doc_id, read=True, absent=True)
        if answer is None:
            return None
        found: dict[str, Any] = answer.body
        return found

    def get_many(self, doc_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return by `_id` those of the documents that are there, read in one request."""
        if not doc_ids:
            return {}
        rows = self._rows("_all_docs", params={"include_docs": True}, keys=doc_ids)
        for row in rows:
            if row.get("error", "not_found") != "not_found":
                raise Unavailable
        return {row["id"]: row["doc"] for row in rows if row.get("doc")}

    def create(self, document: Mapping[str, Any]) -> str:
        """Store a document under its new `_id`; return its revision.

        Raises Conflict if the `_id` is taken, and Unavailable if a quorum is not known to have it: CouchDB's 202 is
        no success (FACTS 1.6). A tombstone does not take an `_id`: CouchDB lets a document be made anew over it.
        """
        return self._write(document)

    def replace(self, document: Mapping[str, Any]) -> str:
        """Store the next revision of the document whose `_rev` is given; return it. Raises Conflict."""
        return self._write(document)

    def view(
        self,
        design: str,
        view: str,
        *,
        keys: Sequence[Any] | None = None,
        startkey: Any = None,
        endkey: Any = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> list[Row]:
        """Return rows of a view, of ``keys`` in their order or of a range with both ends in it."""
        params: dict[str, Any] = {"reduce": False}
        if keys is None:
            params |= {"startkey": startkey, "endkey": endkey, "descending": descending}
        if limit is not None:
            params["limit"] = limit
        rows = self._rows("_design", design, "_view", view, params=params, keys=keys)
        return [Row(row["id"], row["key"], row["value"]) for row in rows]

    def ids(self, startkey: str, endkey: str, *, limit: int, descending: bool = False) -> list[Revision]:
        """Return up to ``limit`` documents by `_id`, both ends included, without their contents."""
        params = {"startkey": startkey, "endkey": endkey, "limit": limit, "descending": descending}
        return [Revision(row["id"], row["value"]["rev"]) for row in self._rows("_all_docs", params=params)]

    def last_id(self, startkey: str, endkey: str) -> str | None:
        """Return the highest `_id` in a range, both ends included."""
        found = self.ids(endkey, startkey, limit=1, descending=True)
        return found[0].id if found else None

    def design_documents(self) -> dict[str, dict[str, Any]]:
        """Return the design documents by name."""
        params = {"startkey": "_design/", "endkey": "_design0", "include_docs": True}
        return {row["id"].removeprefix("_design/"): row["doc"] for row in self._rows("_all_docs", params=params)}

    def probe_write(self, name: str) -> None:
        """Write the local document ``name``, which is neither validated, indexed nor replicated."""
        answer = self._exchange.send("GET", "_local", name, read=True, absent=True)
        probe = {} if answer is None else {"_rev": _body(answer)["_rev"]}
        # A conflict means that someone else's probe was written at this moment, so writes pass.
        with suppress(Conflict):
            self._exchange.send("PUT", "_local", name, body=probe)

    def _rows(self, *path: str, params: Mapping[str, Any], keys: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        if keys is None:
            answer = self._exchange.send("GET", *path, params=params, read=True)
        else:
            answer = self._exchange.send("POST", *path, params=params, body={"keys": list(keys)}, read=True)
        rows: list[dict[str, Any]] = _body(answer)["rows"]
        return rows

    def _write(self, document: Mapping[str, Any]) -> str:
        answer = self._exchange.send("PUT", document["_id"], body=dict(document))
        if answer is None or answer.status != 201:
            raise Unavailable("The write was not confirmed; read before you retry it.")
        rev: str = _body(answer)["rev"]
        return rev


def _body(answer: Answer | None) -> dict[str, Any]:
    """Return an answer's JSON object; something that is not CouchDB may have answered."""
    if answer is None or not isinstance(answer.body, dict):
        raise Unavailable
    return answer.body

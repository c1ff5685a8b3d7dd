"""The place that a background job has reached, in a local document: neither validated, indexed nor replicated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.errors import Conflict
from app.store.exchange import Exchange


class Checkpoint:
    """A local document of one database. All of it raises Unavailable.

    Of two writers the last one wins (docs/couchdb-quirks.md), so each may only write a place that it has reached.
    """

    def __init__(self, exchange: Exchange, name: str) -> None:
        self._exchange, self._path = exchange, ("_local", name)
        self._revision: str | None = None

    def read(self) -> dict[str, Any] | None:
        """Return the members that were written last, None if there are none."""
        document = self._exchange.find(*self._path)
        self._revision = None if document is None else str(document["_rev"])
        return document and {name: value for name, value in document.items() if not name.startswith("_")}

    def write(self, members: Mapping[str, Any]) -> None:
        """Store ``members`` in place of the last ones."""
        try:
            self._put(members)
        except Conflict:
            # PouchDB compares the revisions of local documents, and another writer came first.
            self.read()
            self._put(members)

    def _put(self, members: Mapping[str, Any]) -> None:
        revision = {"_rev": self._revision} if self._revision else {}
        self._revision = self._exchange.send("PUT", *self._path, members=("rev",), body={**members, **revision})["rev"]

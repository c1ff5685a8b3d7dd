"""Check that the database answers and accepts writes, and that this version's design documents are deployed."""

from __future__ import annotations

from collections.abc import Iterator

from app.errors import Unavailable
from app.store import Store
from couchapp import diff, tree

PROBE = "readiness"


class Readiness:
    """Compare the deployed design documents with the tree at the start of this process."""

    def __init__(self, store: Store) -> None:
        self._store, self._tree = store, tree.load()

    def problems(self) -> list[str]:
        """Return the problems, in words for an operator; an empty list if the service is ready."""
        try:
            return list(self._differences()) or list(self._write_failure())
        except Unavailable:
            return ["the database does not answer, or has not been deployed to (make deploy-views); the log says which"]

    def _differences(self) -> Iterator[str]:
        deployed = {name: self._store[name].design_documents() for name in self._tree}
        for difference in diff.differences(self._tree, deployed):
            yield f"{difference.database}/{difference.name} is not deployed as in this version (make deploy-views)"

    def _write_failure(self) -> Iterator[str]:
        """Write a document, since reads still succeed on a full disk (docs/couchdb-quirks.md)."""
        try:
            self._store["meta"].probe_write(PROBE)
        except Unavailable:
            yield "the database answers and takes no writes; is its disk full?"

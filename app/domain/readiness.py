"""Whether the service could do its work now: the database answers and takes writes, and the tree is deployed."""

from __future__ import annotations

from collections.abc import Iterator

from app.errors import Unavailable
from app.store import Store
from couchapp import diff, tree

PROBE = "readiness"


class Readiness:
    """Compares what is deployed with the tree that this process was started with."""

    def __init__(self, store: Store) -> None:
        self._store, self._tree = store, tree.load()

    def problems(self) -> list[str]:
        """Return what stands in the way, in words for an operator; nothing if the service is ready."""
        try:
            return list(self._differences()) or list(self._write_failure())
        except Unavailable:
            return ["the database does not answer, or has not been deployed to (make deploy-views); the log says which"]

    def _differences(self) -> Iterator[str]:
        deployed = {name: self._store[name].design_documents() for name in self._tree}
        for difference in diff.differences(self._tree, deployed):
            yield f"{difference.database}/{difference.name} is not deployed as in this version (make deploy-views)"

    def _write_failure(self) -> Iterator[str]:
        """A full disk lets every read pass, so only a write tells (docs/couchdb-quirks.md)."""
        try:
            self._store["meta"].probe_write(PROBE)
        except Unavailable:
            yield "the database answers and takes no writes; is its disk full?"

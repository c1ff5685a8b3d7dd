"""The databases of one installation, and their feeds."""

from __future__ import annotations

from collections.abc import Mapping

from app.couch.connection import Connection
from app.store.checkpoint import Checkpoint
from app.store.database import CountWrites, Database
from app.store.exchange import Exchange
from app.store.feed import Feed
from app.store.leaves import Leaves
from app.store.observation import Observe, unobserved
from app.store.versions import VersionStore


class Store:
    """The databases of one installation; none is connected to yet. Threads may share it, and forks may inherit it.

    ``count_writes`` names the databases whose writes are counted. ``observe`` receives each request to CouchDB.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        count_writes: Mapping[str, CountWrites] | None = None,
        observe: Observe = unobserved,
    ) -> None:
        self._prefix, self._connection, self._count_writes = prefix, Connection(url), count_writes or {}
        self._observe = observe

    def __getitem__(self, name: str) -> Database:
        """Return the database ``<prefix>-<name>``."""
        return Database(self._exchange(name), self._count_writes.get(name))

    def feed(self, name: str) -> Feed:
        """Return the feed of changes of the database ``<prefix>-<name>``."""
        return Feed(self._exchange(name))

    def leaves(self, name: str) -> Leaves:
        """Return the leaves of the documents in the database ``<prefix>-<name>``."""
        return Leaves(self._exchange(name), self._count_writes.get(name))

    def checkpoint(self, database: str, name: str) -> Checkpoint:
        """Return the checkpoint ``name`` of a job, stored in the database ``<prefix>-<database>``."""
        return Checkpoint(self._exchange(database), name)

    @property
    def versions(self) -> VersionStore:
        """The versions of items, in the database ``<prefix>-history``."""
        return VersionStore(self["history"])

    def _exchange(self, name: str) -> Exchange:
        return Exchange(self._connection, f"{self._prefix}-{name}", self._observe)

    def close(self) -> None:
        """Close the connections: those in use when their requests end, and those that await changes at once."""
        self._connection.close()

"""The databases of one installation."""

from __future__ import annotations

from collections.abc import Mapping

from app.couch.connection import Connection
from app.store.database import CountWrites, Database
from app.store.exchange import Exchange


class Store:
    """Building one opens no connection. Threads may share it, and forks may inherit it.

    ``count_writes`` names the databases whose writes are counted.
    """

    def __init__(self, url: str, prefix: str, count_writes: Mapping[str, CountWrites] | None = None) -> None:
        self._prefix, self._connection, self._count_writes = prefix, Connection(url), count_writes or {}

    def __getitem__(self, name: str) -> Database:
        """Return the database ``<prefix>-<name>``."""
        return Database(Exchange(self._connection, f"{self._prefix}-{name}"), self._count_writes.get(name))

    def close(self) -> None:
        """Close the idle connections."""
        self._connection.close()

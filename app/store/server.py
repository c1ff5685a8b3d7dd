"""The databases of one installation."""

from __future__ import annotations

from collections.abc import Mapping

from app.couch.connection import Connection
from app.store.database import Database
from app.store.exchange import Exchange
from app.store.write_counters import Versions


class Store:
    """Building one opens no connection. Threads may share it, and forks may inherit it.

    ``versions`` has, by name, where the writes to some of the databases are counted.
    """

    def __init__(self, url: str, prefix: str, versions: Mapping[str, Versions] | None = None) -> None:
        self._prefix, self._connection, self._versions = prefix, Connection(url), versions or {}

    def __getitem__(self, name: str) -> Database:
        """Return the database ``<prefix>-<name>``."""
        return Database(Exchange(self._connection, f"{self._prefix}-{name}"), self._versions.get(name))

    def close(self) -> None:
        """Close the idle connections."""
        self._connection.close()

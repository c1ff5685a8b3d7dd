"""The databases of one installation."""

from __future__ import annotations

from app.store.database import Database
from app.store.exchange import Exchange
from couchapp.connection import Connection


class Store:
    """Building one opens no connection. Threads may share it, and forks may inherit it."""

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix, self._connection = prefix, Connection(url)

    def __getitem__(self, name: str) -> Database:
        """Return the database ``<prefix>-<name>``."""
        return Database(Exchange(self._connection, f"{self._prefix}-{name}"))

    def close(self) -> None:
        """Close the idle connections."""
        self._connection.close()

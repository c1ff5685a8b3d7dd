"""The feed of changes of one database: its identity and its places."""

from __future__ import annotations

from app.store.exchange import Exchange


class Feed:
    """The feed of changes of a database. All of it raises Unavailable."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def identity(self) -> str | None:
        """Return the random id of the feed, which `python -m couchapp deploy` writes; None if there is none."""
        document = self._exchange.find("_local", "feed")
        return None if document is None else str(document.get("identity"))

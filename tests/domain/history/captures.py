"""Run captures, count their requests, and read the versions that they have captured."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

from app.couch.connection import Connection
from app.domain.history.capture import Capture
from app.errors import Unavailable
from app.retention import Retention
from app.store import Database, Store
from app.store.exchange import Exchange
from app.store.version import Version
from tests.waiting import wait_until

RETENTION = Retention(timedelta(days=90), 100)
MakeCapture = Callable[..., Capture]


def run(capture: Capture) -> None:
    """Capture everything."""
    while capture.run(Event()) == 0.0:
        pass


def versions(store: Store, doc_id: str) -> list[Version]:
    """Return the captured versions of an item, oldest first."""
    return list(store.versions.page(doc_id, None, 1000).versions[::-1])


def titles(store: Store, doc_id: str) -> list[object]:
    """Return the titles of the captured versions, oldest first; a deletion and a lost version are named."""
    return [
        "deleted" if each.is_deleted else each.members["title"] if each.members else "lost"
        for each in versions(store, doc_id)
    ]


def compact(server_url: str, database: Database) -> None:
    """Remove the bodies of superseded revisions."""
    connection = Connection(server_url, timeout=30)
    connection.post(database.name, "_compact", body={})
    wait_until(lambda: not connection.get(database.name).body.get("compact_running"), "the end of the compaction")
    connection.close()


def count_requests(monkeypatch: pytest.MonkeyPatch, most: int = 1000) -> list[str]:
    """Note the method of every request to the database in a list; those after ``most`` fail, and are not sent."""
    requests: list[str] = []
    original = Exchange._ask

    def ask(self: Exchange, method: str, *args: Any, **options: Any) -> Any:
        requests.append(method)
        if len(requests) > most:
            raise Unavailable
        return original(self, method, *args, **options)

    monkeypatch.setattr(Exchange, "_ask", ask)
    return requests

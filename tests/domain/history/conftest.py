"""An installation with the databases that the history needs, without views."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.couch.connection import Connection
from app.store import Store
from couchapp import feed_identity, tree
from couchapp.databases import Databases

NAMES = ("documents", "projects", "history")


@pytest.fixture
def store(server_url: str, prefix: str) -> Iterator[Store]:
    """The databases, each with its validator and a feed identity."""
    connection = Connection(server_url, timeout=30)
    for name in NAMES:
        connection.put(f"{prefix}-{name}")
        connection.put(f"{prefix}-{name}", "_design", "validation", body=tree.load()[name]["validation"])
        feed_identity.create(Databases(connection, prefix), name)
    connection.close()
    store = Store(server_url, prefix)
    yield store
    store.close()

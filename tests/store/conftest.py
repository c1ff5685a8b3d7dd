"""Databases that several tests of the store work on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.couch.connection import Connection
from app.store import Database, Store

ACCEPT_ALL = "(newDoc, oldDoc) => {}"


@pytest.fixture
def documents(server_url: str, prefix: str) -> Iterator[Database]:
    """An empty database with a validator, without which CouchDB takes any revision for a new document."""
    connection = Connection(server_url, timeout=30)
    connection.put(f"{prefix}-documents")
    connection.put(f"{prefix}-documents", "_design", "all", body={"validate_doc_update": ACCEPT_ALL})
    connection.close()
    store = Store(server_url, prefix)
    yield store["documents"]
    store.close()

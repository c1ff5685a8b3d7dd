"""Fixtures that several packages of tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.couch.connection import Connection
from app.store import Database, Store
from couchapp import deployment, tree


@pytest.fixture
def meta(server_url: str, prefix: str) -> Iterator[Database]:
    """A `-meta` with its validator, views and all, without documents."""
    connection = Connection(server_url, timeout=30)
    deployment.deploy(connection, prefix, tree.load(), report=lambda _: None)
    connection.close()
    store = Store(server_url, prefix)
    yield store["meta"]
    store.close()

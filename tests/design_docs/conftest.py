"""Fixtures: a database with one design document of the tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from app.couch.connection import Connection
from tests.design_docs.cases import TREE

Prepare = Callable[[str, str], str]


@pytest.fixture(scope="session")
def connection(server_url: str) -> Iterator[Connection]:
    """The server, with a timeout that is long enough to build an index."""
    opened = Connection(server_url, timeout=30)
    yield opened
    opened.close()


@pytest.fixture
def prepare(connection: Connection, prefix: str) -> Prepare:
    """Create a database with one design document, given by their names; return the database's full name."""

    def build(database: str, design: str) -> str:
        name = f"{prefix}-{database}"
        connection.put(name)
        connection.put(name, "_design", design, body=TREE[database][design])
        return name

    return build

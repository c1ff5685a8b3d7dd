"""Fixtures: a database with one design document of the tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from app.couch.connection import Connection
from couchapp.tree import Document
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
    return lambda database, design: _create(connection, f"{prefix}-{database}", TREE[database][design])


@pytest.fixture(scope="module")
def unwritten(connection: Connection, module_prefix: str) -> Prepare:
    """Like ``prepare``, but create each database once, for tests that store nothing."""
    return cache(lambda database, design: _create(connection, f"{module_prefix}-{database}", TREE[database][design]))


def _create(connection: Connection, name: str, design: Document) -> str:
    connection.put(name)
    connection.put(name, *design["_id"].split("/"), body=design)
    return name

"""Fixtures: a server, and deployments to databases of one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.couch.connection import Connection
from couchapp.databases import Databases
from couchapp.deployment import Deployment
from couchapp.smoke_test import remove_leftovers
from couchapp.tree import Tree

Deploying = Callable[[Tree], Deployment]


@pytest.fixture
def connection(server_url: str) -> Iterator[Connection]:
    """The server, as an administrator."""
    opened = Connection(server_url, timeout=30)
    yield opened
    opened.close()


@pytest.fixture
def report() -> list[str]:
    """The lines that the deployments of this test reported."""
    return []


@pytest.fixture
def deploying(connection: Connection, prefix: str, report: list[str]) -> Iterator[Deploying]:
    """Make deployments; delete the scratch databases of interrupted smoke tests afterwards."""
    yield lambda tree: Deployment(connection, prefix, tree, report.append, limit=60, grace=0)
    remove_leftovers(Databases(connection, prefix), max_age=-1)


@pytest.fixture
def rows(connection: Connection, prefix: str) -> Callable[[], list[Any]]:
    """Query the deployed view of the small tree for its values."""

    def query() -> list[Any]:
        response = connection.get(f"{prefix}-documents", "_design", "listing", "_view", "by_id")
        return [row["value"] for row in response.body["rows"]]

    return query

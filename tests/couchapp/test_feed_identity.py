"""Check that each database has a feed identity, which only a renewal changes."""

from __future__ import annotations

import re

import pytest

from app.couch.connection import Connection
from app.store import Store
from couchapp import feed_identity
from couchapp.databases import Databases
from couchapp.status import database_problems
from tests.couchapp.conftest import Deploying
from tests.couchapp.trees import small_tree


@pytest.fixture
def databases(connection: Connection, prefix: str) -> Databases:
    return Databases(connection, prefix)


def test_a_deployment_creates_an_identity_once(
    databases: Databases, deploying: Deploying, report: list[str], server_url: str, prefix: str
) -> None:
    deploying(small_tree()).deploy()
    identity = feed_identity.find(databases, "documents")
    assert identity is not None
    assert re.fullmatch("[0-9a-f]{32}", identity)
    assert "documents: feed identity created" in report
    deploying(small_tree(2)).deploy()
    assert feed_identity.find(databases, "documents") == identity
    store = Store(server_url, prefix)
    assert store.feed("documents").identity() == identity
    store.close()


def test_a_renewal_replaces_the_identity(databases: Databases, deploying: Deploying) -> None:
    deploying(small_tree()).deploy()
    before = feed_identity.find(databases, "documents")
    assert feed_identity.renew(databases, "documents") == feed_identity.find(databases, "documents") != before


def test_a_database_without_an_identity_is_reported_and_repaired(
    connection: Connection, deploying: Deploying, prefix: str
) -> None:
    deploying(small_tree()).deploy()
    assert list(database_problems(deploying(small_tree()))) == []
    stored = connection.get(f"{prefix}-documents", *feed_identity.PATH).body
    connection.put(f"{prefix}-documents", *feed_identity.PATH, body={**stored, "_deleted": True})
    assert list(database_problems(deploying(small_tree()))) == [f"{prefix}-documents has no feed identity"]
    deploying(small_tree()).deploy()
    assert list(database_problems(deploying(small_tree()))) == []

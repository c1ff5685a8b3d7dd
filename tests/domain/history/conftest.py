"""An installation with the databases that the history needs, without views, and the job that captures versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from app.couch.connection import Connection
from app.domain.history.capture import Capture
from app.domain.resources import DOCUMENT, PROJECT
from app.metrics import Metrics
from app.retention import Retention
from app.store import Database, Store
from couchapp import feed_identity, tree
from couchapp.databases import Databases
from tests.clock import ManualClock
from tests.domain.history.captures import RETENTION, MakeCapture
from tests.domain.history.items import START, History

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


@pytest.fixture
def documents(store: Store) -> Database:
    return store["documents"]


@pytest.fixture
def history(documents: Database) -> History:
    return History(documents)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def make_capture(store: Store, metrics: Metrics) -> MakeCapture:
    """Return the job as another process has it."""

    def make(
        now: Callable[[], datetime] = lambda: START, retention: Retention = RETENTION, clock: ManualClock | None = None
    ) -> Capture:
        return Capture(store, (PROJECT, DOCUMENT), retention, metrics, now, clock or ManualClock())

    return make

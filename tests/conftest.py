"""Fixtures that several packages of tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.store import Database, Store
from tests.deploying import deploy_new


@pytest.fixture
def meta(server_url: str, prefix: str) -> Iterator[Database]:
    """A `-meta` with its validator, views and all, without documents."""
    deploy_new(server_url, prefix)
    store = Store(server_url, prefix)
    yield store["meta"]
    store.close()

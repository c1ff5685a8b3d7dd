"""Hubs for each test."""

from __future__ import annotations

import pytest

from tests.domain.changes.hub_clients import Feeds


@pytest.fixture
def feeds() -> Feeds:
    return Feeds()

"""An application and bridges for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.server.wsgi_bridge import WSGIBridge
from tests.server.bridge.asgi import LIMIT_BYTES, Build, Echo
from tests.waiting import MAX_WAIT_SECONDS


@pytest.fixture
def echo() -> Echo:
    """An application."""
    return Echo()


@pytest.fixture
def build() -> Iterator[Build]:
    """Build bridges, which are closed at the end."""
    bridges: list[WSGIBridge] = []

    def bridge(wsgi: Any, seconds: float = MAX_WAIT_SECONDS, limit: int = LIMIT_BYTES, **options: Any) -> WSGIBridge:
        bridges.append(WSGIBridge(wsgi, seconds=seconds, body_limit=lambda _: limit, **options))
        return bridges[-1]

    yield bridge
    for each in bridges:
        each.close()

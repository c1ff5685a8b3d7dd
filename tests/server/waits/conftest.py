"""A service for each test, closed at its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.server.streams import TIMING
from tests.server.waits.service import Build, Service


@pytest.fixture
def build() -> Iterator[Build]:
    services: list[Service] = []

    def make(**seconds: float) -> Service:
        services.append(Service(replace(TIMING, **seconds)))
        return services[-1]

    yield make
    for service in services:
        service.bridge.close()

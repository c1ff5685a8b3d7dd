"""Histories with and without capture, callers with limited keys, and documents in conflict."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from app.domain.access import SCOPES
from app.domain.history import capture as capture_module
from app.services import Services
from tests.api.conflicts import bring_versions
from tests.api.conftest import Caller


@pytest.fixture(params=["captured", "not captured"])
def capture(request: pytest.FixtureRequest, services: Services, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Bring the history up to date, or leave that for later: the versions must be the same."""
    monkeypatch.setattr(capture_module, "MAX_RUN_SECONDS", math.inf)

    def catch_up() -> None:
        assert services.capture is not None
        services.capture.run(Event())

    return catch_up if request.param == "captured" else lambda: None


@pytest.fixture
def limited(app: Any, services: Services) -> Callable[..., Caller]:
    """Make callers with keys of all scopes that are limited."""

    def make(**limits: Any) -> Caller:
        return Caller(app, services.keys.create("limited", SCOPES, **limits)[1])

    return make


@pytest.fixture
def clash(ada: Caller, services: Services) -> tuple[str, str, list[str]]:
    """A document with an open conflict: its path, the tag of its first version, and the tags of the two leaves."""
    created = ada.post("/documents", {"title": "Base"})
    sides = [{"title": "Ours"}, {"title": "Theirs"}]
    tags = bring_versions(services, "documents", created.json["id"], *sides)
    return f"/documents/{created.json['id']}", created.headers["ETag"], tags

"""A listener for each test, and followers that lose no time."""

from __future__ import annotations

import pytest

from app.store import changes as changes_module
from tests.store.followers.feeds import IDLE_SECONDS, Recorder


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("PAUSE_SECONDS", 0.0), ("RETRY_SECONDS", 0.0), ("IDLE_SECONDS", IDLE_SECONDS)):
        monkeypatch.setattr(changes_module, name, seconds)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()

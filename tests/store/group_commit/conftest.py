"""Writers that wait for their group as long as the tests wait."""

from __future__ import annotations

import pytest

from app.store import group_commit
from tests.store.group_commit.writers import LIMIT


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MAX_WAIT_SECONDS", float(LIMIT))

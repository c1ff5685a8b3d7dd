"""DREAMSCRIPT_HISTORY is a number of days and of versions, or off."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.retention import Retention

pytestmark = pytest.mark.nodatabase


def test_days_and_a_number_of_versions() -> None:
    assert Retention.parse("90d/100") == Retention(timedelta(days=90), 100)
    assert Retention.parse("1d/1") == Retention(timedelta(days=1), 1)
    assert Retention.parse("off") is None


@pytest.mark.parametrize(
    "text", ["", "90", "90d", "90/100", "0d/1", "1d/0", "-1d/1", "1h/1", "OFF", "90d/100 ", "1d/\u0661"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="90d/100, or off"):
        Retention.parse(text)

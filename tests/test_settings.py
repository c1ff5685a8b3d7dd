"""What the settings refuse, so that what the service promises of times and sizes holds for every value they take."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.idempotency import CLOCKS
from app.domain.projects import GIVEN_UP
from app.settings import DEADLINE, LONGEST_DEADLINE
from couchapp.settings import SettingError

pytestmark = pytest.mark.nodatabase


@pytest.mark.parametrize(("text", "value"), [("5", 5.0), ("2.5", 2.5), ("5s", 5.0), ("0.001", 0.001), ("60", 60.0)])
def test_a_deadline_is_a_number_of_seconds(text: str, value: float) -> None:
    assert DEADLINE.read({DEADLINE.name: text}) == value


@pytest.mark.parametrize("text", ["0", "0.0s", "-1", "1m", "1e1", "nan", "inf", "60.001", "61", "9" * 400])
def test_no_deadline_is_longer_than_the_longest(text: str) -> None:
    with pytest.raises(SettingError, match="above 0 and up to 60"):
        DEADLINE.read({DEADLINE.name: text})


def test_nothing_is_given_up_that_a_request_may_still_be_doing() -> None:
    """Not even where the clock of another host is as far ahead as they may be apart."""
    assert timedelta(seconds=LONGEST_DEADLINE) + CLOCKS <= GIVEN_UP

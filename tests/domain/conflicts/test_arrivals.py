"""For how long missing revisions are expected, in all workers alike."""

from __future__ import annotations

import os

import pytest

from app.domain.conflicts.arrivals import ARRIVAL_SECONDS, SETS, WAYS, Arrivals
from tests.replication import revision

pytestmark = pytest.mark.nodatabase

DOC_ID = "document:0000000000000001"


class Clock:
    """A clock that stands still unless it is set."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_missing_revision_is_expected_for_some_time_after_its_first_look_up() -> None:
    clock = Clock()
    arrivals = Arrivals(clock)
    assert arrivals.is_expected(DOC_ID, revision(2, "a"))
    clock.seconds += ARRIVAL_SECONDS - 1
    assert arrivals.is_expected(DOC_ID, revision(2, "a"))
    clock.seconds += 1
    assert not arrivals.is_expected(DOC_ID, revision(2, "a"))
    assert arrivals.is_expected(DOC_ID, revision(2, "b"))


def test_the_time_that_one_worker_has_begun_ends_in_all() -> None:
    clock = Clock()
    arrivals = Arrivals(clock)
    if (worker := os.fork()) == 0:
        os._exit(0 if arrivals.is_expected(DOC_ID, revision(2, "a")) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0
    clock.seconds += ARRIVAL_SECONDS
    assert not arrivals.is_expected(DOC_ID, revision(2, "a"))


def test_the_oldest_revisions_are_dropped_first() -> None:
    clock = Clock()
    arrivals = Arrivals(clock)
    for number in range(2 * SETS * WAYS):
        arrivals.is_expected(DOC_ID, str(number))
        clock.seconds += ARRIVAL_SECONDS / (SETS * WAYS)
    recent = [arrivals.is_expected(DOC_ID, str(number)) for number in range(2 * SETS * WAYS - 100, 2 * SETS * WAYS)]
    clock.seconds += ARRIVAL_SECONDS
    late = [arrivals.is_expected(DOC_ID, str(number)) for number in range(2 * SETS * WAYS - 100, 2 * SETS * WAYS)]
    assert (all(recent), any(late)) == (True, False)


def test_nothing_is_expected_without_time() -> None:
    assert not Arrivals(seconds=0.0).is_expected(DOC_ID, revision(2, "a"))

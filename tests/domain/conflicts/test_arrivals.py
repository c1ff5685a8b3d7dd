"""For how long missing revisions are expected, in all workers alike."""

from __future__ import annotations

import os

import pytest

from app.domain.conflicts.arrivals import ARRIVAL_SECONDS, SETS, WAYS, Arrivals
from tests.clock import ManualClock
from tests.replication import revision

pytestmark = pytest.mark.nodatabase

DOC_ID = "document:0000000000000001"
# Later than the time of an empty entry.
START_SECONDS = 1000.0


def test_a_missing_revision_is_expected_for_some_time_after_its_first_look_up() -> None:
    clock = ManualClock(START_SECONDS)
    arrivals = Arrivals(clock)
    assert arrivals.is_expected(DOC_ID, revision(2, "a"))
    clock.now += ARRIVAL_SECONDS - 1
    assert arrivals.is_expected(DOC_ID, revision(2, "a"))
    clock.now += 1
    assert not arrivals.is_expected(DOC_ID, revision(2, "a"))
    assert arrivals.is_expected(DOC_ID, revision(2, "b"))


def test_the_time_that_one_worker_has_begun_ends_in_all() -> None:
    clock = ManualClock(START_SECONDS)
    arrivals = Arrivals(clock)
    if (worker := os.fork()) == 0:
        os._exit(0 if arrivals.is_expected(DOC_ID, revision(2, "a")) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0
    clock.now += ARRIVAL_SECONDS
    assert not arrivals.is_expected(DOC_ID, revision(2, "a"))


def test_the_oldest_revisions_are_dropped_first() -> None:
    clock = ManualClock(START_SECONDS)
    arrivals = Arrivals(clock)
    revisions = [str(number) for number in range(2 * SETS * WAYS)]
    for each in revisions:
        arrivals.is_expected(DOC_ID, each)
        clock.now += ARRIVAL_SECONDS / (SETS * WAYS)
    assert all(arrivals.is_expected(DOC_ID, each) for each in revisions[-100:])
    clock.now += ARRIVAL_SECONDS
    # A revision that was dropped would be expected again.
    assert not any(arrivals.is_expected(DOC_ID, each) for each in revisions[-100:])


def test_nothing_is_expected_without_time() -> None:
    assert not Arrivals(seconds=0.0).is_expected(DOC_ID, revision(2, "a"))

"""Processes that share memory see each other's writes, also if one of them is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from app.cache.validity import UNKNOWN_SECONDS, WHOLE, WriteCounters
from app.errors import Conflict, Unavailable, Unconfirmed
from app.store import Store
from tests.clock import ManualClock
from tests.couch.misbehaving_server import MisbehavingServer, answer

pytestmark = [
    pytest.mark.nodatabase,
    # A thread of an earlier test may still be ending.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]

ONE, OTHER = "document:0000000000000001", "document:0000000000000002"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def counters(clock: ManualClock) -> WriteCounters:
    return WriteCounters(2, clock)


def seen(counters: WriteCounters, doc_id: str = ONE) -> tuple[int, bool]:
    slot = WriteCounters.slot(doc_id)
    return counters.version(slot), counters.is_quiet(slot)


def in_child(work: Callable[[], object]) -> int:
    """Run ``work`` in a forked process; return its exit status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def die(counters: WriteCounters) -> None:
    with counters.writing([ONE]):
        os.kill(os.getpid(), signal.SIGKILL)


def write(counters: WriteCounters, doc_id: str = ONE) -> None:
    with counters.writing([doc_id]):
        pass


def test_a_write_makes_a_new_version_at_its_start_and_its_end(counters: WriteCounters) -> None:
    before, quiet = seen(counters)
    assert quiet
    with counters.writing([ONE]):
        during, quiet = seen(counters)
        assert during > before
        assert not quiet
        assert seen(counters, OTHER) == (0, True)
        assert not counters.is_quiet(WHOLE)
    after, quiet = seen(counters)
    assert after > during
    assert quiet
    assert counters.version(WHOLE) > 0
    assert counters.is_quiet(WHOLE)


def test_overlapping_writes_are_quiet_after_the_last_one(counters: WriteCounters) -> None:
    with counters.writing([ONE]):
        write(counters)
        assert not seen(counters)[1]
        with counters.writing([ONE, OTHER]):
            pass
        assert not seen(counters)[1]
    assert seen(counters)[1]


@pytest.mark.parametrize("failure", [Conflict, Unavailable])
def test_a_failed_write_has_ended(counters: WriteCounters, failure: type[Exception]) -> None:
    with pytest.raises(failure), counters.writing([ONE]):
        raise failure
    assert seen(counters)[1]


@pytest.mark.parametrize("failure", [Unconfirmed, KeyError])
def test_a_write_of_unknown_outcome_ends_after_a_time(
    counters: WriteCounters, clock: ManualClock, failure: type[Exception]
) -> None:
    with pytest.raises(failure), counters.writing([ONE]):
        raise failure
    before = seen(counters)
    write(counters)
    clock.now = UNKNOWN_SECONDS - 1
    assert not seen(counters)[1]
    clock.now = UNKNOWN_SECONDS
    assert not counters.is_quiet(WriteCounters.slot(ONE))
    after = seen(counters)
    assert after[0] > before[0]
    assert after[1]


def test_of_many_documents_only_those_of_unknown_outcome_stay_in_flight(
    counters: WriteCounters, clock: ManualClock
) -> None:
    with counters.writing([ONE, OTHER]) as unknown:
        unknown.add(ONE)
    before = seen(counters)[0]
    assert not seen(counters)[1]
    assert not counters.is_quiet(WHOLE)
    assert seen(counters, OTHER)[1]
    clock.now = UNKNOWN_SECONDS
    assert not counters.is_quiet(WriteCounters.slot(ONE))
    assert seen(counters) == (before + 1, True)
    assert counters.is_quiet(WHOLE)


def test_bulk_results_without_a_quorum_or_without_an_answer_stay_in_flight(counters: WriteCounters) -> None:
    results = [
        {"ok": True, "id": ONE, "rev": "1-a", "accepted": True},
        {"ok": True, "id": OTHER, "rev": "1-b"},
        {"id": "refused", "error": "conflict", "reason": "Document update conflict."},
        {"ok": True, "id": "somebody else's", "rev": "1-c"},
    ]
    with MisbehavingServer(answer(202, results)) as server:
        store = Store(server.url, "p", {"documents": counters.writing})
        store["documents"].write_many([{"_id": doc_id} for doc_id in (ONE, OTHER, "refused", "missing")])
        store.close()
    quiet = {doc_id: seen(counters, doc_id)[1] for doc_id in (ONE, OTHER, "refused", "missing")}
    assert quiet == {ONE: False, OTHER: True, "refused": True, "missing": False}
    assert not counters.is_quiet(WHOLE)


def test_a_parent_sees_the_writes_of_its_child(counters: WriteCounters) -> None:
    write(counters)
    before = seen(counters)[0]
    assert in_child(lambda: write(counters)) == 0
    assert seen(counters)[0] == before + 2
    assert seen(counters)[1]


def test_another_process_ends_the_writes_of_a_killed_one(counters: WriteCounters, clock: ManualClock) -> None:
    write(counters)
    assert in_child(lambda: die(counters)) == signal.SIGKILL
    assert not seen(counters)[1]
    clock.now = UNKNOWN_SECONDS - 1
    assert not seen(counters)[1]
    clock.now = 2 * UNKNOWN_SECONDS
    assert not counters.is_quiet(WriteCounters.slot(ONE))
    assert seen(counters)[1]
    assert counters.is_quiet(WHOLE)


def test_a_process_that_takes_over_a_column_ends_its_writes(counters: WriteCounters, clock: ManualClock) -> None:
    """No other process has written, so the next one takes over the column of the dead one."""
    assert in_child(lambda: die(counters)) == signal.SIGKILL
    write(counters, OTHER)
    assert not seen(counters)[1]
    clock.now = 2 * UNKNOWN_SECONDS
    assert not counters.is_quiet(WriteCounters.slot(ONE))
    assert seen(counters)[1]
    write(counters)
    assert seen(counters)[1]


def test_with_too_many_processes_nothing_is_quiet() -> None:
    counters = WriteCounters(1)

    def nest(depth: int) -> None:
        write(counters)
        if depth:
            assert in_child(lambda: nest(depth - 1)) == 0

    nest(1)
    assert seen(counters)[1]
    nest(2)
    assert not seen(counters)[1]

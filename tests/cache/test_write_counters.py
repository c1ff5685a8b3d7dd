"""What processes that share memory know of each other's writes, also when one of them is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from app.cache.write_counters import GIVEN_UP, SLOTS, WHOLE, WriteCounters
from app.errors import Conflict, Unavailable, Unconfirmed
from app.store import Store
from tests.couch.misbehaving_server import MisbehavingServer, answer

pytestmark = pytest.mark.nodatabase

ONE, OTHER = "document:0000000000000001", "document:0000000000000002"


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counters(clock: Clock) -> WriteCounters:
    return WriteCounters(2, clock)


def seen(counters: WriteCounters, doc_id: str = ONE) -> tuple[int, bool]:
    slot = WriteCounters.slot(doc_id)
    return counters.version(slot), counters.is_quiet(slot)


def in_child(work: Callable[[], object]) -> int:
    """Do some work in a forked process and return how it ended."""
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


def test_a_write_is_a_new_version_when_it_begins_and_when_it_ends(counters: WriteCounters) -> None:
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


def test_writes_that_overlap_are_quiet_when_the_last_has_ended(counters: WriteCounters) -> None:
    with counters.writing([ONE]):
        write(counters)
        assert not seen(counters)[1]
        with counters.writing([ONE, OTHER]):
            pass
        assert not seen(counters)[1]
    assert seen(counters)[1]


@pytest.mark.parametrize("failure", [Conflict, Unavailable])
def test_a_write_that_failed_has_ended(counters: WriteCounters, failure: type[Exception]) -> None:
    with pytest.raises(failure), counters.writing([ONE]):
        raise failure
    assert seen(counters)[1]


@pytest.mark.parametrize("failure", [Unconfirmed, KeyError])
def test_a_write_of_unknown_outcome_is_given_up_in_the_end(
    counters: WriteCounters, clock: Clock, failure: type[Exception]
) -> None:
    with pytest.raises(failure), counters.writing([ONE]):
        raise failure
    before = seen(counters)
    write(counters)
    clock.now = GIVEN_UP - 1
    assert not seen(counters)[1]
    clock.now = GIVEN_UP
    assert not counters.is_quiet(WriteCounters.slot(ONE))
    after = seen(counters)
    assert after[0] > before[0]
    assert after[1]


def test_of_many_only_what_has_an_unknown_outcome_stays_under_way(counters: WriteCounters, clock: Clock) -> None:
    with counters.writing([ONE, OTHER]) as unknown:
        unknown.add(ONE)
    before = seen(counters)[0]
    assert not seen(counters)[1]
    assert not counters.is_quiet(WHOLE)
    assert seen(counters, OTHER)[1]
    clock.now = GIVEN_UP
    assert not counters.is_quiet(WriteCounters.slot(ONE))
    assert seen(counters) == (before + 1, True)
    assert counters.is_quiet(WHOLE)


def test_of_a_bulk_what_few_nodes_have_or_nobody_tells_of_stays_under_way(counters: WriteCounters) -> None:
    results = [
        {"ok": True, "id": ONE, "rev": "1-a", "accepted": True},
        {"ok": True, "id": OTHER, "rev": "1-b"},
        {"id": "refused", "error": "conflict", "reason": "Document update conflict."},
        {"ok": True, "id": "somebody else's", "rev": "1-c"},
    ]
    with MisbehavingServer(answer(202, results)) as server:
        store = Store(server.url, "p", {"documents": counters.writing})
        store["documents"].write_many([{"_id": doc_id} for doc_id in (ONE, OTHER, "refused", "never told")])
        store.close()
    quiet = {doc_id: seen(counters, doc_id)[1] for doc_id in (ONE, OTHER, "refused", "never told")}
    assert quiet == {ONE: False, OTHER: True, "refused": True, "never told": False}
    assert not counters.is_quiet(WHOLE)


def test_a_child_s_writes_are_seen_by_its_parent(counters: WriteCounters) -> None:
    write(counters)
    before = seen(counters)[0]
    assert in_child(lambda: write(counters)) == 0
    assert seen(counters)[0] == before + 2
    assert seen(counters)[1]


def test_what_a_killed_process_had_under_way_is_given_up_by_another(counters: WriteCounters, clock: Clock) -> None:
    write(counters)
    assert in_child(lambda: die(counters)) == signal.SIGKILL
    assert not seen(counters)[1]
    clock.now = GIVEN_UP - 1
    assert not seen(counters)[1]
    clock.now = 2 * GIVEN_UP
    assert not counters.is_quiet(WriteCounters.slot(ONE))
    assert seen(counters)[1]
    assert counters.is_quiet(WHOLE)


def test_who_takes_a_dead_process_s_place_looks_after_what_it_left(counters: WriteCounters, clock: Clock) -> None:
    """Nobody else has written, so that the next process counts where the dead one did."""
    assert in_child(lambda: die(counters)) == signal.SIGKILL
    write(counters, OTHER)
    assert not seen(counters)[1]
    clock.now = 2 * GIVEN_UP
    assert not counters.is_quiet(WriteCounters.slot(ONE))
    assert seen(counters)[1]
    write(counters)
    assert seen(counters)[1]


def test_while_there_are_too_many_processes_nothing_is_quiet() -> None:
    counters = WriteCounters(1)

    def nest(depth: int) -> None:
        write(counters)
        if depth:
            assert in_child(lambda: nest(depth - 1)) == 0

    nest(1)
    assert seen(counters)[1]
    nest(2)
    assert not seen(counters)[1]


def test_slots_are_spread_evenly() -> None:
    slots = {WriteCounters.slot(f"document:{number:016d}") for number in range(SLOTS)}
    assert len(slots) > SLOTS / 2
    assert max(slots) < SLOTS

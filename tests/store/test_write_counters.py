"""What processes that share memory know of each other's writes, also when one of them is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from app.errors import Conflict, Unavailable, Unconfirmed
from app.store import Store
from app.store.write_counters import GIVEN_UP, SLOTS, WHOLE, Versions
from tests.couch.misbehaving_server import Wayward, answer

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
def versions(clock: Clock) -> Versions:
    return Versions(2, clock)


def seen(versions: Versions, doc_id: str = ONE) -> tuple[int, bool]:
    slot = Versions.slot(doc_id)
    return versions.version(slot), versions.is_quiet(slot)


def in_child(work: Callable[[], object]) -> int:
    """Do some work in a forked process and return how it ended."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def die(versions: Versions) -> None:
    with versions.writing([ONE]):
        os.kill(os.getpid(), signal.SIGKILL)


def write(versions: Versions, doc_id: str = ONE) -> None:
    with versions.writing([doc_id]):
        pass


def test_a_write_is_a_new_version_when_it_begins_and_when_it_ends(versions: Versions) -> None:
    before, quiet = seen(versions)
    assert quiet
    with versions.writing([ONE]):
        during, quiet = seen(versions)
        assert during > before
        assert not quiet
        assert seen(versions, OTHER) == (0, True)
        assert not versions.is_quiet(WHOLE)
    after, quiet = seen(versions)
    assert after > during
    assert quiet
    assert versions.version(WHOLE) > 0
    assert versions.is_quiet(WHOLE)


def test_writes_that_overlap_are_quiet_when_the_last_has_ended(versions: Versions) -> None:
    with versions.writing([ONE]):
        write(versions)
        assert not seen(versions)[1]
        with versions.writing([ONE, OTHER]):
            pass
        assert not seen(versions)[1]
    assert seen(versions)[1]


@pytest.mark.parametrize("failure", [Conflict, Unavailable])
def test_a_write_that_failed_has_ended(versions: Versions, failure: type[Exception]) -> None:
    with pytest.raises(failure), versions.writing([ONE]):
        raise failure
    assert seen(versions)[1]


@pytest.mark.parametrize("failure", [Unconfirmed, KeyError])
def test_a_write_of_unknown_outcome_is_given_up_in_the_end(
    versions: Versions, clock: Clock, failure: type[Exception]
) -> None:
    with pytest.raises(failure), versions.writing([ONE]):
        raise failure
    before = seen(versions)
    write(versions)
    clock.now = GIVEN_UP - 1
    assert not seen(versions)[1]
    clock.now = GIVEN_UP
    assert not versions.is_quiet(Versions.slot(ONE))
    after = seen(versions)
    assert after[0] > before[0]
    assert after[1]


def test_of_many_only_what_has_an_unknown_outcome_stays_under_way(versions: Versions, clock: Clock) -> None:
    with versions.writing([ONE, OTHER]) as unknown:
        unknown.add(ONE)
    before = seen(versions)[0]
    assert not seen(versions)[1]
    assert not versions.is_quiet(WHOLE)
    assert seen(versions, OTHER)[1]
    clock.now = GIVEN_UP
    assert not versions.is_quiet(Versions.slot(ONE))
    assert seen(versions) == (before + 1, True)
    assert versions.is_quiet(WHOLE)


def test_of_a_bulk_what_few_nodes_have_or_nobody_tells_of_stays_under_way(versions: Versions) -> None:
    results = [
        {"ok": True, "id": ONE, "rev": "1-a", "accepted": True},
        {"ok": True, "id": OTHER, "rev": "1-b"},
        {"id": "refused", "error": "conflict", "reason": "Document update conflict."},
        {"ok": True, "id": "somebody else's", "rev": "1-c"},
    ]
    with Wayward(answer(202, results)) as server:
        store = Store(server.url, "p", {"documents": versions})
        store["documents"].write_many([{"_id": doc_id} for doc_id in (ONE, OTHER, "refused", "never told")])
        store.close()
    quiet = {doc_id: seen(versions, doc_id)[1] for doc_id in (ONE, OTHER, "refused", "never told")}
    assert quiet == {ONE: False, OTHER: True, "refused": True, "never told": False}
    assert not versions.is_quiet(WHOLE)


def test_a_child_s_writes_are_seen_by_its_parent(versions: Versions) -> None:
    write(versions)
    before = seen(versions)[0]
    assert in_child(lambda: write(versions)) == 0
    assert seen(versions)[0] == before + 2
    assert seen(versions)[1]


def test_what_a_killed_process_had_under_way_is_given_up_by_another(versions: Versions, clock: Clock) -> None:
    write(versions)
    assert in_child(lambda: die(versions)) == signal.SIGKILL
    assert not seen(versions)[1]
    clock.now = GIVEN_UP - 1
    assert not seen(versions)[1]
    clock.now = 2 * GIVEN_UP
    assert not versions.is_quiet(Versions.slot(ONE))
    assert seen(versions)[1]
    assert versions.is_quiet(WHOLE)


def test_who_takes_a_dead_process_s_place_looks_after_what_it_left(versions: Versions, clock: Clock) -> None:
    """Nobody else has written, so that the next process counts where the dead one did."""
    assert in_child(lambda: die(versions)) == signal.SIGKILL
    write(versions, OTHER)
    assert not seen(versions)[1]
    clock.now = 2 * GIVEN_UP
    assert not versions.is_quiet(Versions.slot(ONE))
    assert seen(versions)[1]
    write(versions)
    assert seen(versions)[1]


def test_while_there_are_too_many_processes_nothing_is_quiet() -> None:
    versions = Versions(1)

    def nest(depth: int) -> None:
        write(versions)
        if depth:
            assert in_child(lambda: nest(depth - 1)) == 0

    nest(1)
    assert seen(versions)[1]
    nest(2)
    assert not seen(versions)[1]


def test_slots_are_spread_evenly() -> None:
    slots = {Versions.slot(f"document:{number:016d}") for number in range(SLOTS)}
    assert len(slots) > SLOTS / 2
    assert max(slots) < SLOTS

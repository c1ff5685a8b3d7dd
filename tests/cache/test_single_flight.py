"""Simultaneous callers share one read, and its result is never older than the request."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import count
from threading import Event

import pytest

from app.cache.single_flight import SingleFlight
from app.http.answers import Answer
from app.request_context import request_context
from tests.waiting import wait_until

pytestmark = pytest.mark.nodatabase


class SlowRead:
    """Returns the number of the read, once it may."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.started = 0
        self.may_return = Event()

    def __call__(self) -> int:
        self.started = number = next(self._numbers)
        self.may_return.wait()
        return number


def join(flights: SingleFlight, key: str, read: Callable[[], int]) -> int:
    """Return the number that this caller or another one has read."""
    with flights.join(key) as flight:
        flight.result = flight.result or Answer(read())
        return int(flight.result.body)


def test_a_lone_caller_reads_alone() -> None:
    flights = SingleFlight()
    assert [join(flights, "key", partial(int, n)) for n in (1, 2, 3)] == [1, 2, 3]
    assert not flights._running
    assert not flights._waiting


def test_callers_during_a_read_share_the_next_one() -> None:
    flights, read = SingleFlight(), SlowRead()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(join, flights, "key", read)
        wait_until(lambda: read.started == 1)
        later: list[Future[int]] = [pool.submit(join, flights, "key", read) for _ in range(7)]
        wait_until(lambda: "key" in flights._waiting)
        other = join(flights, "other", lambda: 10)
        read.may_return.set()
        assert (first.result(), other) == (1, 10)
        shared = {each.result() for each in later}
    # A caller that comes after the start of the second read has started a third.
    assert shared <= {2, 3}
    assert read.started <= 3
    assert not flights._running
    assert not flights._waiting


def test_a_failure_is_not_shared() -> None:
    flights, read = SingleFlight(), SlowRead()

    def fail() -> int:
        raise KeyError

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(join, flights, "key", read)
        wait_until(lambda: read.started == 1)
        leader = pool.submit(join, flights, "key", fail)
        wait_until(lambda: "key" in flights._waiting)
        follower = pool.submit(join, flights, "key", lambda: 5)
        read.may_return.set()
        assert (first.result(), follower.result()) == (1, 5)
        with pytest.raises(KeyError):
            leader.result()


def test_no_caller_waits_beyond_its_deadline() -> None:
    flights, read = SingleFlight(), SlowRead()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(join, flights, "key", read)
        wait_until(lambda: read.started == 1)
        with request_context(request_id="r", seconds=0.01):
            assert join(flights, "key", lambda: 7) == 7
        read.may_return.set()
        assert first.result() == 1

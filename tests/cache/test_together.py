"""Those who ask at the same time share one answer, and it is never older than the question."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from threading import Event

import pytest

from app.cache.together import Together
from app.request_context import request_context
from tests.waiting import wait_until

pytestmark = pytest.mark.nodatabase


class Slow:
    """Counts how often it was asked, and answers with that number when it may."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.asked = 0
        self.may_answer = Event()

    def __call__(self) -> int:
        self.asked = next(self._numbers)
        number = self.asked
        self.may_answer.wait()
        return number


def waiting(together: Together[int], key: str) -> bool:
    return key in together._open


def test_who_is_alone_asks_alone() -> None:
    together = Together[int]()
    assert [together.ask("key", lambda n=n: n) for n in range(3)] == [0, 1, 2]  # type: ignore[misc]
    assert not together._last
    assert not together._open


def test_who_comes_while_an_answer_is_on_its_way_shares_the_next() -> None:
    together, find = Together[int](), Slow()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(together.ask, "key", find)
        wait_until(lambda: find.asked == 1)
        later: list[Future[int | None]] = [pool.submit(together.ask, "key", find) for _ in range(7)]
        wait_until(lambda: waiting(together, "key"))
        other = together.ask("other", lambda: 10)
        find.may_answer.set()
        assert (first.result(), other) == (1, 10)
        shared = {each.result() for each in later}
    # Whoever came before the second answer was begun has it; a straggler may have begun a third.
    assert shared <= {2, 3}
    assert find.asked <= 3
    assert not together._last
    assert not together._open


def test_a_failure_is_the_caller_s_own() -> None:
    together, find = Together[int](), Slow()

    def fail() -> int:
        raise KeyError

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(together.ask, "key", find)
        wait_until(lambda: find.asked == 1)
        leading = pool.submit(together.ask, "key", fail)
        wait_until(lambda: waiting(together, "key"))
        find.may_answer.set()
        assert first.result() == 1
        with pytest.raises(KeyError):
            leading.result()
    assert together.ask("key", lambda: 5) == 5


def test_nobody_waits_longer_than_the_request_may_take() -> None:
    together, find = Together[int](), Slow()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(together.ask, "key", find)
        wait_until(lambda: find.asked == 1)
        with request_context(request_id="r", seconds=0.01):
            # It leads the next answer, for which it has waited long enough for the one before.
            assert together.ask("key", lambda: 7) == 7
        find.may_answer.set()
        assert first.result() == 1

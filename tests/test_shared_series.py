"""Numbers that forked processes count together: none is lost, none falls when a process ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from threading import Thread

import pytest

from app import shared_series
from app.shared_series import SURPLUS, SharedSeries

pytestmark = pytest.mark.nodatabase


def in_child(action: Callable[[], object], number: signal.Signals | None = None) -> None:
    """Run ``action`` in a forked process, which then ends, by a signal if one is given; wait for its end."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
            if number:
                os.kill(os.getpid(), number)
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == (number or 0)


def count(series: SharedSeries, name: str, amount: float = 1) -> None:
    series.add(((series.place((name,), 1), amount),))


def totals(series: SharedSeries) -> dict[str, float]:
    return {key[0]: series.total(place) for key, place in series.series()}


def test_all_processes_read_the_sum_of_all() -> None:
    series = SharedSeries(2)
    count(series, "a")
    in_child(lambda: count(series, "b", 5))
    in_child(lambda: count(series, "a", 4))
    assert totals(series) == {"a": 5, "b": 5}


def test_the_next_process_goes_on_with_the_numbers_of_one_that_was_killed() -> None:
    series = SharedSeries(1)
    for _ in range(3):
        in_child(lambda: count(series, "a"), signal.SIGKILL)
    assert totals(series) == {"a": 3}
    assert series.values(series.place(("a",), 1)) == [3, 0]


def test_living_processes_have_columns_of_their_own() -> None:
    series = SharedSeries(2)
    count(series, "a")
    in_child(lambda: count(series, "a", 10))
    assert series.values(series.place(("a",), 1)) == [1, 10, 0]


def test_no_addition_of_a_thread_is_lost() -> None:
    series = SharedSeries()

    def run() -> None:
        for _ in range(5000):
            count(series, "a")

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals(series) == {"a": 20_000}


def test_a_key_has_one_place_in_every_process() -> None:
    series = SharedSeries(2)
    in_child(lambda: series.place(("wide",), 9))
    in_child(lambda: series.place(("next",), 1))
    assert series.place(("next",), 1) - series.place(("wide",), 9) == 9


def test_additions_without_room_are_dropped_and_harm_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_series, "COLUMN_WORDS", 40)
    series = SharedSeries()
    count(series, "a")
    wide = series.place(("wide",), 30)
    assert wide == SURPLUS
    series.add((wide + offset, 1) for offset in range(14))
    assert totals(series) == {"a": 1}

"""Windows in shared memory are exact, like the library's own, however many processes use them and are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock, patch

import hypothesis
import pytest
from hypothesis import strategies as st
from limits.storage import MemoryStorage, memory

from app.limits.shared_windows import WAYS, SharedWindows, locate
from tests.clock import ManualClock

pytestmark = pytest.mark.nodatabase

EXPIRY = 10


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock(1_000_000.0)


STEPS = st.tuples(st.integers(0, 8), st.sampled_from(["one", "two"]))


@hypothesis.given(limit=st.integers(1, 5), steps=st.lists(STEPS, max_size=30))
def test_results_equal_those_of_the_librarys_own_storage(limit: int, steps: list[tuple[int, str]]) -> None:
    clock = ManualClock(1_000_000.0)
    # The library's storage removes old entries in a thread; its answers do not depend on that.
    with patch.object(memory, "time", SimpleNamespace(time=clock)), patch.object(memory, "threading", MagicMock()):
        ours, theirs = SharedWindows(limit, clock), MemoryStorage()
        theirs.locks = MagicMock()
        for wait, key in steps:
            # No sum of these steps is exactly EXPIRY, where the library's two methods do not agree with each other.
            clock.now += wait * 2**0.5
            arguments = (key, limit, EXPIRY)
            assert ours.enter(*arguments)[0] == theirs.acquire_entry(*arguments)
            window, expected = ours.get_moving_window(*arguments), theirs.get_moving_window(*arguments)
            assert window[1] == expected[1]
            assert window[0] == (expected[0] if expected[1] else clock.now)


def test_no_window_holds_more_than_the_limit(clock: ManualClock) -> None:
    """A window includes both its ends, so an entry that is exactly ``EXPIRY`` seconds old still counts."""
    windows, limit = SharedWindows(5, clock), 5
    entries = []
    for _ in range(200):
        clock.now += 0.25
        if windows.enter("one", limit, EXPIRY)[0]:
            entries.append(clock.now)
    assert len(entries) == 25
    assert all(later - earlier > EXPIRY for earlier, later in zip(entries, entries[limit:], strict=False))


def test_a_search_takes_few_steps_for_any_limit(clock: ManualClock) -> None:
    """After a burst, half of a large window has grown too old at once."""
    limit = 9_999
    windows = SharedWindows(limit, clock)
    for number in range(limit):
        windows.enter("one", limit, EXPIRY)
        clock.now += 1 if number == limit // 2 else 0
    clock.now += EXPIRY - 0.5
    calls: list[str] = []
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
    window = windows.get_moving_window("one", limit, EXPIRY)
    sys.setprofile(None)
    assert window[1] == limit // 2
    assert calls.count("is_young") < 40


def neighbours(key: str, number: int) -> list[str]:
    """Return other keys that share the few slots of ``key``."""
    slot, names = locate(key)[1], (f"neighbour {n}" for n in range(10**6))
    sharing = (name for name in names if locate(name)[1] == slot)
    return [next(sharing) for _ in range(number)]


def test_the_least_recently_used_slot_is_replaced(clock: ManualClock) -> None:
    windows = SharedWindows(1, clock)
    first, *others = neighbours("new", WAYS)
    for key in (first, *others):
        clock.now += 1
        assert windows.enter(key, 1, 3600)[0]
    clock.now += 1
    # A refusal is a use, too.
    assert not windows.enter(first, 1, 3600)[0]
    assert windows.enter("new", 1, 3600)[0]
    remaining = [key for key in (first, "new", *others) if windows.get_moving_window(key, 1, 3600)[1] == 1]
    assert remaining == [first, "new", *others[1:]]
    assert windows.get_moving_window(others[0], 1, 3600) == (clock.now, 0)


def test_unused_slots_cost_no_memory() -> None:
    windows = SharedWindows(600)
    assert windows.enter("one", 600, EXPIRY)[0]
    status = os.fstat(windows._shared._file)
    assert status.st_size > 2**25
    assert status.st_blocks * 512 <= 2**16


def test_windows_stay_exact_if_a_process_is_killed_at_any_line() -> None:
    """An entry is made or not. The others never get more than the limit, and get all of it after a minute."""
    command = [sys.executable, "-m", "tests.limits.workers"]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout
    deaths = [json.loads(line) for line in output.splitlines()]
    assert [death["line"] for death in deaths] == list(range(1, len(deaths) + 1))
    assert {death["soon"]["old"] for death in deaths} == {1, 2}
    assert {death["soon"]["new"] for death in deaths} == {1, 2}
    assert {tuple(death["later"]) for death in deaths} == {(2,)}

"""Processes that share windows and are killed: `python -m tests.limits.workers hammer|stuck|killed`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from threading import Thread
from types import FrameType

from app import shared_memory
from app.limits import shared_windows
from app.limits.shared_windows import WAYS, SharedWindows, locate

LIMIT, PROCESSES, THREADS = 1000, 6, 3


def fork(work: Callable[[], object]) -> int:
    """Run ``work`` in a new process that exits after it; return its id."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child


def accepted(windows: SharedWindows, key: str, limit: int, attempts: int) -> int:
    """Return how many of ``attempts`` are accepted within a minute."""
    return sum(windows.enter(key, limit, 60)[0] for _ in range(attempts))


def hammer() -> None:
    """Print how many entries each thread of each process got; together they try far more than the limit."""
    windows = SharedWindows(LIMIT)

    def try_all() -> None:
        # Written whole in one call, so that no two lines mix.
        os.write(1, f"{accepted(windows, 'one', LIMIT, LIMIT)}\n".encode())

    def work() -> None:
        threads = [Thread(target=try_all) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for child in [fork(work) for _ in range(PROCESSES)]:
        os.waitpid(child, 0)


def stuck() -> None:
    """Stop a process that holds the lock, check that another waits for it, and kill the first."""
    inside, tell = os.pipe()
    parent = os.getpid()

    def clock() -> float:
        # The clock is read while the lock is held.
        if os.getpid() != parent:
            os.write(tell, b".")
            signal.pause()
        return time.monotonic()

    windows = SharedWindows(3, clock)
    child = fork(lambda: windows.enter("one", 3, 60))
    os.read(inside, 1)
    waiting = Thread(target=windows.enter, args=("one", 3, 60))
    waiting.start()
    waiting.join(0.2)
    waited = waiting.is_alive()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    waiting.join()
    print(json.dumps({"waited": waited, "left": accepted(windows, "one", 3, 3)}))  # noqa: T201


def killed() -> None:
    """Kill a process at each line of making an entry, in turn; print the results of the others afterwards."""
    slot, names = locate("new")[1], (f"key-{number}" for number in count())
    crowd = [next(name for name in names if locate(name)[1] == slot) for _ in range(WAYS)]
    for line in count(1):
        moment = [1000.0]
        windows = SharedWindows(2, lambda moment=moment: moment[0])  # type: ignore[misc]
        # The ring is full of expired entries, and the new key finds no free slot.
        accepted(windows, "old", 2, 2)
        moment[0] += 61
        for key in crowd:
            windows.enter(key, 2, 60)
        child = fork(lambda windows=windows, line=line: enter_and_die(windows, line))  # type: ignore[misc]
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            break
        soon = {key: accepted(windows, key, 2, 3) for key in ("old", "new")}
        moment[0] += 61
        later = {key: accepted(windows, key, 2, 3) for key in ("old", "new", *crowd)}
        print(json.dumps({"line": line, "soon": soon, "later": sorted(set(later.values()))}))  # noqa: T201


def enter_and_die(windows: SharedWindows, line: int) -> None:
    """Add entries for a known and an unknown key; die before executing the line with this ordinal."""
    lines = line

    def trace(frame: FrameType, event: str, _: object) -> object:
        nonlocal lines
        if frame.f_code.co_filename not in (shared_memory.__file__, shared_windows.__file__):
            return None
        lines -= event == "line"
        if lines == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]
    windows.enter("old", 2, 60)
    windows.enter("new", 2, 60)
    sys.settrace(None)


if __name__ == "__main__":
    {"hammer": hammer, "stuck": stuck, "killed": killed}[sys.argv[1]]()

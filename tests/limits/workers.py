"""Processes that share windows and are killed: `python -m tests.limits.workers`."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from types import FrameType

from app import shared_memory
from app.limits import shared_windows
from app.limits.shared_windows import WAYS, SharedWindows, locate


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
    killed()

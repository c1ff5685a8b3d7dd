"""Wait for an event in another thread or process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

# The longest wait for an event on a busy machine; a test that waits for longer fails.
MAX_WAIT_SECONDS = 60.0

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str = "the condition") -> T:
    """Return the first true value of ``condition``. Raises AssertionError, naming ``what``, after MAX_WAIT_SECONDS."""
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} was not met within {MAX_WAIT_SECONDS:.0f} s"
        time.sleep(0.01)
    return value

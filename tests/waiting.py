"""Wait for an event in another thread or process."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 30.0


def wait_until(condition: Callable[[], object]) -> None:
    """Return when ``condition`` is true. Raises AssertionError after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"the condition was not met within {PATIENCE:.0f} s"
        time.sleep(0.01)

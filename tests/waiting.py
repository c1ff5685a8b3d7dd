"""Waits for what happens in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 30.0


def wait_until(happened: Callable[[], object]) -> None:
    """Return once ``happened`` does. Raises AssertionError when that takes far too long."""
    until = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < until, f"it did not happen within {PATIENCE:.0f} s"
        time.sleep(0.01)

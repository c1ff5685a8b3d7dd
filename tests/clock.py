"""A clock for tests."""

from __future__ import annotations


class ManualClock:
    """A clock of seconds that the test sets."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

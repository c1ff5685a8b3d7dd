"""Counts events in one process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from threading import Lock


class Tally:
    """Thread-safe counters by name."""

    def __init__(self, *names: str) -> None:
        self._lock, self._counts = Lock(), Counter(dict.fromkeys(names, 0))

    def count(self, name: str, times: int = 1) -> None:
        """Add ``times`` to a counter."""
        with self._lock:
            self._counts[name] += times

    def counts(self) -> Mapping[str, int]:
        """Return all counters."""
        with self._lock:
            return dict(self._counts)

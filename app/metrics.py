"""What one process counts while it serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from threading import Lock


class Tally:
    """How often things have happened, by name; threads may share it."""

    def __init__(self, *names: str) -> None:
        self._lock, self._counts = Lock(), Counter(dict.fromkeys(names, 0))

    def count(self, name: str, times: int = 1) -> None:
        """Count something that has happened."""
        with self._lock:
            self._counts[name] += times

    def counts(self) -> Mapping[str, int]:
        """Return what has been counted so far."""
        with self._lock:
            return dict(self._counts)

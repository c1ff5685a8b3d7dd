"""Captures the versions of items from the change feeds into `-history` (docs/decisions/history.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Event

from app.domain.history.capture_source import Source
from app.domain.resources import ResourceType
from app.metric_definitions import HISTORY_LAG
from app.metrics import Metrics
from app.retention import Retention
from app.store import Store

# Seconds after which a run leaves the rest to the next one.
MAX_RUN_SECONDS = 0.3
# Seconds between two reads of the feeds. While there are writes, the pause is PAUSE_FACTOR times as long as the run, so
# that it hardly slows them down. The pause shrinks once the lag is above LONG_LAG_SECONDS, so that the lag stays
# bounded: a compaction removes versions that are not captured yet.
PAUSE_SECONDS = 1.0
PAUSE_FACTOR = 20.0
LONG_LAG_SECONDS = 300.0


class Capture:
    """The job that captures. Several processes may run it at once: they write the same versions."""

    name = "capture"

    def __init__(
        self,
        store: Store,
        resource_types: Sequence[ResourceType],
        retention: Retention,
        metrics: Metrics,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = [Source(store, each, retention, metrics, now) for each in resource_types]
        self._metrics, self._clock, self._caught_up_at = metrics, clock, clock()

    def run(self, ending: Event) -> float:
        """Capture the next versions for MAX_RUN_SECONDS or a little more; return the seconds until the next run."""
        started_at = self._clock()
        is_caught_up = True
        for source in self._sources:
            while not (is_last := source.advance()):
                if ending.is_set() or self._clock() - started_at > MAX_RUN_SECONDS:
                    break
            is_caught_up = is_caught_up and is_last
        if is_caught_up:
            self._caught_up_at = started_at
        elif sum(source.is_written_to() for source in self._sources) == 0:  # any would leave out some sources.
            return 0.0
        lag = started_at - self._caught_up_at
        factor = PAUSE_FACTOR / max(1.0, lag / LONG_LAG_SECONDS)
        return max(PAUSE_SECONDS, factor * (self._clock() - started_at))

    def stand_by(self) -> None:
        """Note that another process captures, and that its place is to be read again."""
        self._caught_up_at = self._clock()
        for source in self._sources:
            source.reset()

    def report_state(self) -> None:
        """Set the metrics of this moment."""
        self._metrics.set(HISTORY_LAG, value=self._clock() - self._caught_up_at)

"""The metrics of the service, counted by all workers of a host in shared memory (docs/decisions/metrics.md)."""

from __future__ import annotations

import os
import platform
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from app.metric_definitions import (
    BUCKETS,
    BUILD,
    DATABASE_REQUESTS,
    DATABASE_SECONDS,
    METRICS,
    READS,
    REQUEST_SECONDS,
    REQUESTS,
    WORKER,
    WORKER_MEMORY,
    WORKER_RESTARTS,
    WORKER_UP,
    Metric,
)
from app.request_context import METHODS, RequestRecord
from app.shared_series import OWNERS, SEEN_AT, SURPLUS, Key, SharedSeries
from app.version import VERSION

# A gauge of a process that was not refreshed for this long is left out: the process has ended, or hangs.
STALE_SECONDS = 5.0
# The labels of any other method than the API's, and of a path without a route.
OTHER_METHOD, NO_ROUTE = "other", "none"


class Sample(NamedTuple):
    """The value of one series: a number, or a histogram's numbers by bucket and their sum."""

    labels: tuple[str, ...]
    numbers: list[float]


class Metrics:
    """The metrics of up to ``processes`` processes, made before these are forked. Thread-safe.

    ``clock`` counts seconds, and is the same for all processes of the host.
    """

    def __init__(self, processes: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._series, self._clock = SharedSeries(processes), clock
        # The places of the numbers that an answer adds to, by its labels: cached, since every answer needs them.
        self._answers: dict[tuple[str | None, str, int, bool], tuple[int, int, int]] = {}

    def count(self, metric: Metric, *labels: str, times: float = 1) -> None:
        """Add to a counter; adding 0 lets it be reported before anything happens."""
        self._series.add(((self._place(metric, labels), times),))

    def set(self, metric: Metric, *labels: str, value: float) -> None:
        """Set a gauge of this process."""
        self._series.set(self._place(metric, labels), value)

    def count_answer(self, record: RequestRecord) -> None:
        """Count an answered request, its time, and a hit of the cache."""
        key = record.route, record.method, record.status, record.is_cached
        counter, hit, histogram = self._answers.get(key) or self._answer_places(record)
        seconds = record.seconds
        bucket, total = histogram + bisect_left(BUCKETS, seconds), histogram + len(BUCKETS) + 1
        self._series.add_timed(counter, hit, bucket, total, seconds)

    def count_refusal(self, status: int) -> None:
        """Count a refusal before a request was known, or one that the application did not get."""
        self.count(REQUESTS, NO_ROUTE, OTHER_METHOD, str(status))

    def count_database_request(self, kind: str, outcome: str, seconds: float) -> None:
        """Count a request to CouchDB and its time."""
        counter, histogram = self._place(DATABASE_REQUESTS, (kind, outcome)), self._place(DATABASE_SECONDS, (kind,))
        bucket, total = histogram + bisect_left(BUCKETS, seconds), histogram + len(BUCKETS) + 1
        self._series.add_timed(counter, SURPLUS, bucket, total, seconds)

    def report_process(self) -> None:
        """Note that this process runs, and its memory; do so more often than every STALE_SECONDS."""
        self.set(BUILD, VERSION, platform.python_version(), value=1)
        self.set(WORKER_UP, value=1)
        with suppress(OSError):
            self.set(WORKER_MEMORY, value=resident_bytes())
        self._series.set(SEEN_AT, self._clock())

    def samples(self) -> Iterator[tuple[Metric, list[Sample]]]:
        """Yield each metric with its samples; one by worker has those of the processes that were just seen."""
        by_name: dict[str, list[tuple[Key, int]]] = {name: [] for name in METRICS if name != WORKER_RESTARTS.name}
        for (name, *labels), place in self._series.series():
            by_name[name].append((tuple(labels), place))
        workers = self._running()
        for name, entries in by_name.items():
            metric = METRICS[name]
            yield metric, [sample for entry in entries for sample in self._read(metric, *entry, workers)]
        yield WORKER_RESTARTS, [Sample((), [self._restarts()])]

    def _read(self, metric: Metric, labels: Key, place: int, workers: list[int]) -> Iterator[Sample]:
        if WORKER in metric.labels:
            values = self._series.values(place)
            yield from (Sample((*labels, str(worker)), [values[worker]]) for worker in workers)
        elif metric.kind == "gauge":
            yield Sample(labels, [max(self._series.values(place))])
        else:
            yield Sample(labels, [self._series.total(place + offset) for offset in range(metric.words)])

    def _running(self) -> list[int]:
        """Return the numbers of the processes that were seen within STALE_SECONDS."""
        oldest = self._clock() - STALE_SECONDS
        return [worker for worker, seen_at in enumerate(self._series.values(SEEN_AT)) if seen_at >= oldest]

    def _restarts(self) -> float:
        """Return the number of processes that took the place of another one."""
        return sum(max(0.0, owners - 1) for owners in self._series.values(OWNERS))

    def _place(self, metric: Metric, labels: Key) -> int:
        return self._series.place((metric.name, *labels), metric.words)

    def _answer_places(self, record: RequestRecord) -> tuple[int, int, int]:
        method = record.method if record.method in METHODS else OTHER_METHOD
        route = record.route or NO_ROUTE
        places = (
            self._place(REQUESTS, (route, method, str(record.status))),
            self._place(READS, ("hit",)) if record.is_cached else SURPLUS,
            self._place(REQUEST_SECONDS, (route, method)),
        )
        if method == record.method:
            self._answers[record.route, method, record.status, record.is_cached] = places
        return places


def resident_bytes() -> int:
    """Return the memory of this process that is in use (Linux: proc(5), statm). Raises OSError elsewhere."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

"""The metrics of the service, counted by all workers of a host in shared memory (docs/decisions/metrics.md)."""

from __future__ import annotations

import os
import platform
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from app.request_context import METHODS, RequestRecord
from app.shared_series import OWNERS, SEEN_AT, SURPLUS, Key, SharedSeries
from app.version import VERSION

# Seconds; an answer from memory takes less than 1 ms, and none takes longer than the deadline.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
# A gauge of a process that was not refreshed for this long is left out: the process has ended, or hangs.
STALE_SECONDS = 5.0
WORKER = "worker"


class Metric(NamedTuple):
    """A metric as docs/operations.md lists it. One with the label ``worker`` has a value for each process."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()

    @property
    def series_name(self) -> str:
        """The name in the documentation and in queries, a histogram's without the suffixes."""
        return f"{self.name}_total" if self.kind == "counter" else self.name

    @property
    def words(self) -> int:
        """The numbers that each of its series takes: a histogram's buckets, those above them, and the sum."""
        return len(BUCKETS) + 2 if self.kind == "histogram" else 1


REQUESTS = Metric(
    "dreamscript_requests",
    "counter",
    "Requests answered, by route pattern, method and status.",
    ("route", "method", "status"),
)
REQUEST_SECONDS = Metric(
    "dreamscript_request_seconds",
    "histogram",
    "Seconds from a request's headers to its answer.",
    ("route", "method"),
)
IN_FLIGHT = Metric("dreamscript_requests_in_flight", "gauge", "Requests that a worker is answering.", (WORKER,))
RATE_LIMITED = Metric(
    "dreamscript_rate_limited",
    "counter",
    "Requests refused with 429, by policy; failed: wrong keys from one address.",
    ("policy",),
)
UNLIMITED = Metric(
    "dreamscript_rate_limit_failures",
    "counter",
    "Requests granted uncounted, since the storage of the rate limits did not answer.",
)
READS = Metric(
    "dreamscript_reads",
    "counter",
    "Reads of an item or a page: hits are answered from the cache, misses are not.",
    ("cache",),
)
CACHE_BYTES = Metric(
    "dreamscript_cache_bytes",
    "gauge",
    "Bytes of cached items, by database, and of cached pages.",
    ("content", WORKER),
)
DATABASE_REQUESTS = Metric(
    "dreamscript_database_requests",
    "counter",
    "Requests to CouchDB, by kind and outcome.",
    ("kind", "outcome"),
)
DATABASE_SECONDS = Metric(
    "dreamscript_database_seconds",
    "histogram",
    "Seconds of a request to CouchDB; the kind feed waits for changes.",
    ("kind",),
)
FEED_LIVE = Metric(
    "dreamscript_feed_live",
    "gauge",
    "1 while the database's change feed is followed; otherwise the cache is not used.",
    ("database", WORKER),
)
FEED_LAG = Metric(
    "dreamscript_feed_lag_seconds",
    "gauge",
    "Seconds since the change feed last showed that every change has been reported.",
    ("database", WORKER),
)
FEED_CHANGES = Metric("dreamscript_feed_changes", "counter", "Changes reported by the feed.", ("database",))
FEED_LOSSES = Metric("dreamscript_feed_losses", "counter", "How often the feed was lost.", ("database",))
HISTORY_LAG = Metric(
    "dreamscript_history_lag_seconds",
    "gauge",
    "Seconds since every version was captured, on the host that captures.",
)
HISTORY_VERSIONS = Metric("dreamscript_history_versions", "counter", "Versions captured.", ("database",))
HISTORY_DELETED = Metric("dreamscript_history_deleted", "counter", "Versions deleted by retention.")
HISTORY_LOST = Metric(
    "dreamscript_history_lost", "counter", "Versions whose content was compacted before the capture.", ("database",)
)
CONFLICTS_OPEN = Metric(
    "dreamscript_conflicts_open",
    "gauge",
    "Items whose versions cannot be merged, by reason, as the process that resolves conflicts last counted them.",
    ("reason",),
)
MERGES = Metric(
    "dreamscript_merges",
    "counter",
    "Conflicts judged, by result: merged, reduced (only tombstones were needed), a reason, or failed.",
    ("result",),
)
WAITING_CLIENTS = Metric("dreamscript_waiting_clients", "gauge", "Clients that wait for changes.", ("kind", WORKER))
EVENTS = Metric("dreamscript_events", "counter", "Changes sent as events of streams.")
SLOW_STREAMS = Metric("dreamscript_slow_streams", "counter", "Streams that were ended since nobody read them.")
WORKERS = Metric("dreamscript_workers", "gauge", "Worker processes that there should be.")
WORKER_UP = Metric("dreamscript_worker_up", "gauge", "1 for each worker process that runs.", (WORKER,))
WORKER_MEMORY = Metric("dreamscript_worker_memory_bytes", "gauge", "Resident memory of a worker, on Linux.", (WORKER,))
WORKER_RESTARTS = Metric("dreamscript_worker_restarts", "counter", "Workers that were replaced after they had ended.")

BUILD = Metric(
    "dreamscript_build_info", "gauge", "1, with the versions of the service and of Python.", ("version", "python")
)

METRICS = {
    metric.name: metric
    for metric in (
        REQUESTS,
        REQUEST_SECONDS,
        IN_FLIGHT,
        RATE_LIMITED,
        UNLIMITED,
        READS,
        CACHE_BYTES,
        DATABASE_REQUESTS,
        DATABASE_SECONDS,
        FEED_LIVE,
        FEED_LAG,
        FEED_CHANGES,
        FEED_LOSSES,
        HISTORY_LAG,
        HISTORY_VERSIONS,
        HISTORY_LOST,
        HISTORY_DELETED,
        CONFLICTS_OPEN,
        MERGES,
        WAITING_CLIENTS,
        EVENTS,
        SLOW_STREAMS,
        WORKERS,
        WORKER_UP,
        WORKER_MEMORY,
        WORKER_RESTARTS,
        BUILD,
    )
}
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
        # The places of the numbers that an answer adds to, by its labels, since they are needed for every answer.
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

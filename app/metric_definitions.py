"""Defines the metrics of the service: name, kind, help and labels, as docs/operations.md lists them."""

from __future__ import annotations

from typing import Literal, NamedTuple

# Seconds; an answer from memory takes less than 1 ms, and none takes longer than the deadline.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
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

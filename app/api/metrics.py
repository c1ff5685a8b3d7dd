"""The counts of one process in Prometheus's text format, version 0.0.4."""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from app.http.answers import Answer
from app.http.operations import Routes
from app.wiring import Services

NO_STORE = {"Cache-Control": "no-store"}
# Name and meaning of each; docs/operations.md lists them too.
READS = ("dreamscript_reads", "Reads of an item or a page: hits are answered from the cache, misses are not.")
LIVE = ("dreamscript_feed_live", "1 while the database's change feed is followed; otherwise the cache is not used.")
SILENCE = (
    "dreamscript_feed_silence_seconds",
    "Seconds since the change feed's last sign of life.",
)
CHANGES = ("dreamscript_feed_changes", "Changes reported by the feed.")
LOSSES = ("dreamscript_feed_losses", "How often the feed was lost.")
KEPT = ("dreamscript_kept_bytes", "Bytes of cached items.")
routes = Routes("metrics", "For monitoring.")
blueprint = routes.blueprint
METRICS = dict([READS, LIVE, SILENCE, CHANGES, LOSSES, KEPT])


class Measured(Collector):
    """The metrics of one process at this moment, labelled with its process id, since any worker may answer."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its samples."""
        pid, followers = str(os.getpid()), self._services.followers
        reads = CounterMetricFamily(*READS, labels=["pid", "cache"])
        live, silence, kept = (GaugeMetricFamily(*each, labels=["pid", "database"]) for each in (LIVE, SILENCE, KEPT))
        changes, losses = (CounterMetricFamily(*each, labels=["pid", "database"]) for each in (CHANGES, LOSSES))
        for name, count in self._services.reads.counts().items():
            reads.add_metric([pid, name], count)
        for name, follower in followers.items():
            live.add_metric([pid, name], follower.is_live)
            silence.add_metric([pid, name], follower.silence())
            kept.add_metric([pid, name], self._services.body_caches[name].bytes)
            changes.add_metric([pid, name], follower.tally.counts()["changes"])
            losses.add_metric([pid, name], follower.tally.counts()["losses"])
        yield from (reads, live, silence, changes, losses, kept)


@routes.operation(
    "GET", "/metrics", scope="operate", answer={"type": "string"}, headers=NO_STORE, media_type="text/plain"
)
def metrics(services: Services) -> Answer:
    """Report the counts of the process that answers

    In Prometheus's text format. Each worker counts for itself and is labelled with its process id.
    """
    headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, **NO_STORE}
    return Answer(generate_latest(Measured(services)), headers=headers)

"""What a process has counted, as Prometheus reads it (its text format, version 0.0.4)."""

from __future__ import annotations

import os
from collections.abc import Iterator

from flask import Response
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from app.http.blueprint import Blueprint
from app.wiring import Services

NEVER_KEPT = {"Cache-Control": "no-store"}
# Name and meaning of each; the README's table has them, too.
READS = ("dreamscript_reads", "Reads of one item or a page: answered from memory, shared with others, or read.")
LIVE = ("dreamscript_feed_live", "1 while the database's changes are followed; else nothing is answered from memory.")
SILENCE = (
    "dreamscript_feed_silence_seconds",
    "Seconds since the feed's last sign of life.",
)
CHANGES = ("dreamscript_feed_changes", "Changes that the feed has told of.")
LOSSES = ("dreamscript_feed_losses", "How often the feed was lost.")
KEPT = ("dreamscript_kept_bytes", "Memory that is taken by what was read.")
METRICS = dict([READS, LIVE, SILENCE, CHANGES, LOSSES, KEPT])


class Measured(Collector):
    """The metrics of one process, each with its id, since any worker may answer; they are as of when they are read."""

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


def blueprint(services: Services) -> Blueprint:
    """Return the metrics."""
    routes = Blueprint("metrics", "For whoever watches the service.", services)
    registry = CollectorRegistry()
    registry.register(Measured(services))

    @routes.operation(
        "GET", "/metrics", scope="operate", answer={"type": "string"}, headers=NEVER_KEPT, media_type="text/plain"
    )
    def metrics() -> Response:
        """Tell what the process that answers has counted

        In Prometheus's text format. Each worker counts for itself and is named by its process id.
        """
        text = generate_latest(registry)
        return Response(text, content_type=CONTENT_TYPE_PLAIN_0_0_4, headers=NEVER_KEPT)

    return routes

"""The metrics of all workers in the formats that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from flask import request
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from app.http.answers import NO_STORE, Answer
from app.http.operations import Routes
from app.metric_definitions import BUCKETS, Metric
from app.metrics import Metrics, Sample
from app.services import Services

OPENMETRICS = "application/openmetrics-text"
BOUNDS = [*map(str, BUCKETS), "+Inf"]
Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

routes = Routes("metrics", "For monitoring.")
blueprint = routes.blueprint


class SharedMetrics(Collector):
    """The metrics of all workers at this moment."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        """Yield each metric with its samples."""
        for metric, samples in self._metrics.samples():
            yield family(metric, samples)


def family(metric: Metric, samples: list[Sample]) -> Family:
    """Return a metric as prometheus_client writes it."""
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, (*counts, total) in samples:
            histogram.add_metric(labels, list(zip(BOUNDS, accumulate(counts), strict=True)), total)
        return histogram
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    single = kind(metric.name, metric.help, labels=metric.labels)
    for labels, [value] in samples:
        single.add_metric(labels, value)
    return single


@routes.operation(
    "GET",
    "/metrics",
    scope="operate",
    answer={"type": "string"},
    headers=NO_STORE,
    media_type="text/plain",
    other_media_types=(OPENMETRICS,),
    is_uncounted=True,
)
def metrics(services: Services) -> Answer:
    """Report the counts of all workers

    In Prometheus's text format, or in OpenMetrics if the Accept header asks for it. Does not count against the rate
    limit of the key.
    """
    services.report_state()
    accepted = ",".join(media_range for media_range, weight in request.accept_mimetypes if weight > 0)
    encode, content_type = choose_encoder(accepted)
    return Answer(encode(SharedMetrics(services.metrics)), headers={"Content-Type": content_type, **NO_STORE})

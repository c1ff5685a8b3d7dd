"""Read metrics, from the counters of a process or from the text of `GET /metrics`."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from app.metric_definitions import Metric
from app.metrics import Metrics


def value(metrics: Metrics, metric: Metric, *labels: str) -> float:
    """Return the value of a counter or gauge with exactly these labels. Raises KeyError if there is none."""
    return numbers(metrics, metric, *labels)[0]


def numbers(metrics: Metrics, metric: Metric, *labels: str) -> list[float]:
    """Return the numbers of a sample: of a histogram, those by bucket and their sum. Raises KeyError."""
    by_labels = {
        each.labels: each.numbers for known, samples in metrics.samples() if known == metric for each in samples
    }
    return by_labels[labels]


class Scrape:
    """The samples in a text that `GET /metrics` has answered."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self._samples = [sample for family in self.families for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with this name that have these labels, among others."""
        return sum(each.value for each in self._samples if each.name == name and each.labels.items() >= labels.items())

    def labels(self, name: str) -> set[str]:
        """Return the names of the labels that the samples of this name have."""
        return {label for each in self._samples if each.name == name for label in each.labels}

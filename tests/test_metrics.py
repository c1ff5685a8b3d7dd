"""The counters, gauges and histograms of a service."""

from __future__ import annotations

import math

import pytest

from app import create_app
from app.metric_definitions import (
    BUCKETS,
    DATABASE_REQUESTS,
    DATABASE_SECONDS,
    FEED_LIVE,
    METRICS,
    READS,
    REQUEST_SECONDS,
    REQUESTS,
    WORKER_RESTARTS,
    WORKER_UP,
)
from app.metrics import STALE_SECONDS, Metrics
from app.request_context import METHODS, RequestRecord
from app.shared_series import COLUMN_WORDS, DIRECTORY_BYTES, FIRST
from app.store.observation import KINDS, OUTCOMES
from tests.clock import ManualClock
from tests.offline_settings import OFFLINE_SETTINGS
from tests.samples import numbers, value
from tests.test_shared_series import in_child

pytestmark = pytest.mark.nodatabase

ROUTE = "/documents/<id:document_id>"
# More than the statuses of docs/api.md and those of cached answers.
STATUSES = 24


def answer(
    metrics: Metrics, method: str, status: int, seconds: float, route: str | None = ROUTE, is_cached: bool = False
) -> None:
    """Count one answer."""
    metrics.count_answer(RequestRecord(method, route, "/", "", status, seconds, 0, "id", "", None, None, is_cached))


def test_an_answer_is_counted_once_by_route_method_and_status() -> None:
    metrics = Metrics()
    answer(metrics, "GET", 200, 0.0001, is_cached=True)
    answer(metrics, "GET", 200, 0.3)
    answer(metrics, "GET", 404, 9.0)
    assert value(metrics, REQUESTS, ROUTE, "GET", "200") == 2
    assert value(metrics, REQUESTS, ROUTE, "GET", "404") == 1
    assert value(metrics, READS, "hit") == 1
    *buckets, seconds = numbers(metrics, REQUEST_SECONDS, ROUTE, "GET")
    assert seconds == pytest.approx(9.3001)
    assert [bound for bound, count in zip((*BUCKETS, math.inf), buckets, strict=True) if count] == [
        0.001,
        0.5,
        math.inf,
    ]
    assert sum(buckets) == 3


def test_a_bucket_includes_its_bound() -> None:
    metrics = Metrics()
    answer(metrics, "GET", 200, 0.001)
    assert numbers(metrics, REQUEST_SECONDS, ROUTE, "GET")[0] == 1


def test_paths_without_a_route_and_unknown_methods_share_a_series() -> None:
    metrics = Metrics()
    for method in ("BREW", "WHEN", "X" * 5000):
        answer(metrics, method, 404, 0.1, route=None)
    metrics.count_refusal(400)
    assert value(metrics, REQUESTS, "none", "other", "404") == 3
    assert value(metrics, REQUESTS, "none", "other", "400") == 1


def test_there_is_room_for_every_series() -> None:
    """A column holds every label that a client can bring about, so that nobody can fill it."""
    rules = {rule.rule for rule in create_app(OFFLINE_SETTINGS).flask.url_map.iter_rules()}
    pairs = (len(rules) + 1) * (len(METHODS) + 1)
    of_requests = pairs * (STATUSES * REQUESTS.words + REQUEST_SECONDS.words)
    of_database = len(KINDS) * (len(OUTCOMES) * DATABASE_REQUESTS.words + DATABASE_SECONDS.words)
    assert FIRST + of_requests + of_database + 10 * len(METRICS) < COLUMN_WORDS
    entry = max(map(len, rules)) + len(REQUEST_SECONDS.name) + 30
    assert (pairs * (STATUSES + 1) + len(KINDS) * (len(OUTCOMES) + 1) + 10 * len(METRICS)) * entry < DIRECTORY_BYTES


def report(metrics: Metrics) -> None:
    metrics.set(FEED_LIVE, "documents", value=1)
    metrics.report_process()


def test_the_gauges_of_a_process_that_ended_or_hangs_are_left_out() -> None:
    clock = ManualClock(1000)
    metrics = Metrics(2, clock)
    report(metrics)
    in_child(lambda: report(metrics))
    assert [value(metrics, WORKER_UP, worker) for worker in "01"] == [1, 1]
    clock.now += STALE_SECONDS + 1
    metrics.report_process()
    assert value(metrics, FEED_LIVE, "documents", "0") == 1
    with pytest.raises(KeyError):
        value(metrics, FEED_LIVE, "documents", "1")


def test_a_process_that_takes_the_place_of_another_is_a_restart() -> None:
    metrics = Metrics(2)
    assert value(metrics, WORKER_RESTARTS) == 0
    for _ in range(3):
        in_child(lambda: metrics.count(READS, "hit"))
    assert value(metrics, WORKER_RESTARTS) == 2

"""The metrics as Prometheus scrapes them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from app import Application
from app.limits.policies import policies
from app.metric_definitions import METRICS
from app.version import VERSION
from tests.api.conftest import Answer, Caller
from tests.samples import Scrape
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("views_are_awaited")

# As Prometheus 3 sends it (its scrape protocols in the default order).
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def scrape(caller: Caller) -> Scrape:
    answer = caller.get("/metrics")
    assert answer.status_code == 200
    return Scrape(answer.text)


def test_every_metric_is_served_with_its_meaning(ada: Caller) -> None:
    answer = ada.get("/metrics", accept="text/plain")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for metric in METRICS.values():
        assert re.search(rf"^# HELP {metric.name}(_total)? {re.escape(metric.help)}$", answer.text, re.MULTILINE)


def test_the_feed_and_the_cache_are_reported(ada: Caller) -> None:
    path = f"/documents/{ada.new_document()['id']}"
    wait_until(lambda: ada.get(path) and scrape(ada).total("dreamscript_feed_live", database="documents") == 1)
    before = scrape(ada)
    ada.new_document()

    def grows(name: str, **labels: str) -> bool:
        return scrape(ada).total(name, **labels) > before.total(name, **labels)

    wait_until(lambda: grows("dreamscript_feed_changes_total", database="documents"))
    wait_until(lambda: ada.get(path) and grows("dreamscript_reads_total", cache="hit"))
    after = scrape(ada)
    assert after.total("dreamscript_cache_bytes", content="documents") > 300
    assert "database" in after.labels("dreamscript_feed_losses_total")
    wait_until(lambda: scrape(ada).total("dreamscript_feed_lag_seconds", database="documents") < 3)


def test_requests_to_the_database_are_counted_by_kind_and_outcome(ada: Caller) -> None:
    before = scrape(ada)
    path = f"/documents/{ada.new_document()['id']}"
    assert ada.get("/documents/999999").status_code == 404
    ada.get("/documents", cache_control="no-cache")
    assert ada.request("DELETE", path).status_code == 204
    after = scrape(ada)
    for kind, outcome in (("put", "ok"), ("get", "absent"), ("view", "ok")):
        labels = {"kind": kind, "outcome": outcome}
        assert after.total("dreamscript_database_requests_total", **labels) > before.total(
            "dreamscript_database_requests_total", **labels
        )
    assert after.total("dreamscript_database_seconds_count", kind="put") == after.total(
        "dreamscript_database_requests_total", kind="put"
    )


def test_refusals_by_the_rate_limit_are_counted(make_app: Callable[..., Application], ada: Caller) -> None:
    limited = Caller(make_app(rate_limit=policies("read=2/hour,write=1/hour")), ada.key)
    assert scrape(limited).total("dreamscript_rate_limited_total") == 0
    statuses = [limited.get("/documents/1").status_code for _ in range(4)]
    assert statuses[2:] == [429, 429]
    assert scrape(limited).total("dreamscript_rate_limited_total", policy="read") == 2


def test_scraping_is_free_unless_the_key_is_wrong(make_app: Callable[..., Application], ada: Caller) -> None:
    app = make_app(rate_limit=policies("read=2/hour,write=1/hour"))
    answers = [Caller(app, ada.key).get("/metrics") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert not any("RateLimit" in answer.headers for answer in answers)
    assert [Caller(app, "wrong").get("/metrics").status_code for _ in range(3)] == [401, 401, 429]


def test_build_and_workers_are_reported(ada: Caller) -> None:
    scraped = scrape(ada)
    assert scraped.total("dreamscript_build_info", version=VERSION) == 1
    assert scraped.total("dreamscript_workers") == scraped.total("dreamscript_worker_up") == 1
    assert scraped.total("dreamscript_worker_memory_bytes") > 10_000_000


def accepting(ada: Caller, accept: str) -> Answer:
    return ada.get("/metrics", accept=accept)


@pytest.mark.parametrize(
    "accept", [PROMETHEUS, "application/openmetrics-text", "application/openmetrics-text; version=1.0.0"]
)
def test_prometheus_gets_openmetrics(ada: Caller, accept: str) -> None:
    answer = accepting(ada, accept)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = parse_openmetrics(answer.text)  # type: ignore[no-untyped-call]
    assert {family.name for family in families} == set(METRICS)


@pytest.mark.parametrize(
    "accept", ["", "*/*", "text/html, */*;q=0.8", "text/plain", "application/openmetrics-text;q=0, */*"]
)
def test_others_get_text(ada: Caller, accept: str) -> None:
    answer = accepting(ada, accept)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_a_format_that_is_not_available_is_406(ada: Caller) -> None:
    assert accepting(ada, "application/json").status_code == 406


def test_metrics_need_the_scope_operate(caller: Callable[..., Caller], nobody: Caller) -> None:
    assert caller("documents:read").get("/metrics").status_code == 403
    assert nobody.get("/metrics").status_code == 401

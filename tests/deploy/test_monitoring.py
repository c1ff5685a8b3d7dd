"""The dashboard, the alerts and the scrape configuration name metrics that exist, with their labels."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from app import create_app
from app.limits.policies import FAILED, READ, WRITE
from app.metric_definitions import METRICS, Metric
from app.store.observation import KINDS, OUTCOMES
from tests.deploy.queries import DASHBOARD, DEPLOY, RULES, VARIABLES, Query, queries
from tests.offline_settings import OFFLINE_SETTINGS

pytestmark = pytest.mark.nodatabase

OPERATIONS = (DEPLOY.parent / "docs" / "operations.md").read_text()
# Prometheus adds the first two to every sample of a target.
TARGET_LABELS = {"job", "instance"}
VALUES = {"kind": KINDS, "outcome": OUTCOMES, "policy": (READ, WRITE, FAILED), "cache": ("hit", "miss")}
ALL = list(queries())
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")


def metric_of(name: str) -> Metric | None:
    """Return the metric whose samples have this name."""
    for metric in METRICS.values():
        suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}[metric.kind]
        if name in {metric.name + suffix for suffix in suffixes}:
            return metric
    return None


def labels_of(query: Query) -> set[str]:
    """Return the labels that the samples of a query's metrics have."""
    names = {label for name, _ in query.selectors if (metric := metric_of(name)) for label in metric.labels}
    has_buckets = any(name.endswith("_bucket") for name, _ in query.selectors)
    return names | TARGET_LABELS | ({"le"} if has_buckets else set())


@pytest.mark.parametrize("query", ALL, ids=[query.place for query in ALL])
def test_a_query_names_metrics_and_labels_that_exist(query: Query) -> None:
    assert query.selectors
    for name, matched in query.selectors:
        if name == "up":
            assert matched.keys() <= TARGET_LABELS
            continue
        metric = metric_of(name)
        assert metric, f"{name} does not exist"
        assert matched.keys() <= {*metric.labels, *TARGET_LABELS}
    assert query.grouped <= labels_of(query)


@pytest.mark.parametrize("query", ALL, ids=[query.place for query in ALL])
def test_a_query_compares_labels_with_values_that_they_can_have(query: Query) -> None:
    for _, matched in query.selectors:
        for label, pattern in matched.items():
            for value in pattern.split("|") if label in VALUES else ():
                assert value in VALUES[label]


def test_every_metric_is_on_the_dashboard() -> None:
    names = {name for query in ALL for name, _ in query.selectors}
    assert {metric.name for name in names if (metric := metric_of(name))} == set(METRICS)


def test_a_dashboard_uses_no_other_variables() -> None:
    declared = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    texts = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    assert {variable for text in texts for variable in re.findall(r"\$\w+", text)} <= set(VARIABLES)
    assert {variable.removeprefix("$") for variable in VARIABLES} - {"__rate_interval"} == declared - {"datasource"}


def test_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_scrape_configuration_leads_to_the_metrics() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    [scrape] = config["scrape_configs"]
    paths = {rule.rule for rule in create_app(OFFLINE_SETTINGS).flask.url_map.iter_rules()}
    assert scrape["metrics_path"] in paths
    assert {target.split(":")[1] for static in scrape["static_configs"] for target in static["targets"]} == {
        str(OFFLINE_SETTINGS.port)
    }
    assert all((DEPLOY / file).exists() for file in config["rule_files"])
    assert any(scrape["job_name"] in rule["expr"] for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_advises_and_is_documented(rule: dict[str, dict[str, str]]) -> None:
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["action"].endswith(".")
    assert f"| `{rule['alert']}` |" in OPERATIONS


def test_no_other_alert_is_documented() -> None:
    assert set(re.findall(r"^\| `(Dreamscript\w+)` \|", OPERATIONS, re.MULTILINE)) == {rule["alert"] for rule in RULES}


@needs_promtool
def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    text = (DEPLOY / "prometheus.yml").read_text()
    key = tmp_path / "key"
    key.touch()
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace("/etc/prometheus/dreamscript-key", str(key)))
    shutil.copy(DEPLOY / "prometheus-alerts.yml", tmp_path)
    subprocess.run(["promtool", "check", "config", config], check=True, capture_output=True)


@needs_promtool
def test_alerts_are_raised_and_only_when_they_should_be() -> None:
    cases = Path(__file__).with_name("alerts_test.yml")
    subprocess.run(["promtool", "test", "rules", cases.name], check=True, cwd=cases.parent, capture_output=True)

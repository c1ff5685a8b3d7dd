"""The PromQL of the dashboard and of the alerts, and the metrics and labels that it names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import promql_parser as promql
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
ALERTS = yaml.safe_load((DEPLOY / "prometheus-alerts.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
# Grafana's variables, which it replaces before the query is sent: a duration, and a value of a label.
VARIABLES = {"$__rate_interval": "1m", "$job": "dreamscript", "$instance": "app1:8000"}


class Selector(NamedTuple):
    """A metric in a query, as it is written there, and the labels that the query compares."""

    name: str
    matched: dict[str, str]


class Query(NamedTuple):
    """The place of a query, its metrics, and the labels that it groups and joins by."""

    place: str
    selectors: list[Selector]
    grouped: set[str]


def read(place: str, text: str) -> Query:
    """Parse a query. Raises ValueError."""
    for variable, value in VARIABLES.items():
        text = text.replace(variable, value)
    selectors: list[Selector] = []
    grouped: set[str] = set()

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            matched = {matcher.name: matcher.value for matcher in node.matchers.matchers}
            selectors.append(Selector(node.name or "", matched))
        elif isinstance(node, promql.AggregateExpr) and node.modifier:
            grouped.update(node.modifier.labels)
        elif isinstance(node, promql.BinaryExpr) and node.modifier and node.modifier.matching:
            grouped.update(node.modifier.matching.labels)

    promql.walk(promql.parse(text), visit)
    return Query(place, selectors, grouped)


def queries() -> Iterator[Query]:
    """Yield every query of the dashboard, its variables included, and of the alerts."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield read(panel["title"], target["expr"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            listed = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert listed
            query = read(variable["name"], listed[1])
            yield query._replace(grouped={*query.grouped, listed[2]})
    for rule in RULES:
        yield read(rule["alert"], rule["expr"])

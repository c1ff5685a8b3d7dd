"""The metrics of a process."""

from __future__ import annotations

import re
from collections.abc import Callable

from app.api.metrics import METRICS
from tests.api.conftest import Caller
from tests.waiting import wait_until


def sample(text: str, name: str, label: str) -> float:
    """Return the value of the sample that has ``label`` among its labels."""
    match = re.search(rf"^{name}\{{[^}}]*\"{label}\"[^}}]*\}} (.*)$", text, re.MULTILINE)
    assert match, text
    return float(match[1])


def test_every_metric_is_served_with_its_meaning(ada: Caller) -> None:
    answer = ada.get("/metrics", accept="text/plain")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for name, meaning in METRICS.items():
        assert re.search(rf"^# HELP {name}(_total)? {re.escape(meaning)}$", answer.text, re.MULTILINE)


def test_the_feed_and_the_cache_are_reported(ada: Caller) -> None:
    path = f"/documents/{ada.new_document()['id']}"
    wait_until(lambda: ada.get(path) and sample(ada.get("/metrics").text, "dreamscript_feed_live", "documents") == 1)
    before = ada.get("/metrics").text
    ada.new_document()
    wait_until(
        lambda: (
            sample(ada.get("/metrics").text, "dreamscript_feed_changes_total", "documents")
            > sample(before, "dreamscript_feed_changes_total", "documents")
        )
    )
    wait_until(
        lambda: (
            ada.get(path)
            and sample(ada.get("/metrics").text, "dreamscript_reads_total", "hit")
            > sample(before, "dreamscript_reads_total", "hit")
        )
    )
    after = ada.get("/metrics").text
    assert sample(after, "dreamscript_kept_bytes", "documents") > 300
    assert sample(after, "dreamscript_feed_losses_total", "documents") >= 0
    wait_until(lambda: sample(ada.get("/metrics").text, "dreamscript_feed_silence_seconds", "documents") < 3)


def test_metrics_need_the_scope_operate(caller: Callable[..., Caller], nobody: Caller) -> None:
    assert caller("documents:read").get("/metrics").status_code == 403
    assert nobody.get("/metrics").status_code == 401

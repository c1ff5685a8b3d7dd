"""All workers of a running service count together, also after one of them was killed and replaced."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import deployed_settings
from tests.redis import Redis, needs_redis
from tests.server.live import SECRET, Live, command, create_key, environment

LIMIT, WORKERS = 60, 4


@pytest.fixture(scope="module")
def environ(server_url: str, module_prefix: str) -> dict[str, str]:
    """The settings of a service with four workers and a small limit."""
    deployed_settings(server_url, module_prefix)
    return environment(
        COUCHDB_URL=server_url,
        DREAMSCRIPT_DATABASE_PREFIX=module_prefix,
        DREAMSCRIPT_SECRET_KEY=SECRET,
        DREAMSCRIPT_WORKERS=str(WORKERS),
        DREAMSCRIPT_RATE_LIMIT=f"read={LIMIT}/hour,write=1/hour",
    )


@pytest.fixture
def key(environ: dict[str, str]) -> str:
    """A new, unused key."""
    return str(create_key(environ, ["documents:read"])["key"])


@pytest.fixture(scope="module")
def live(environ: dict[str, str]) -> Iterator[Live]:
    """A running service."""
    with Live("serve", environ) as running:
        yield running


def statuses(services: list[Live], key: str, requests: int) -> Counter[int]:
    """Send requests from many threads to the services in turn, each on a connection of its own."""
    with ThreadPoolExecutor(8) as threads:
        answers = [services[n % len(services)] for n in range(requests)]
        return Counter(threads.map(lambda live: live.request("GET", "/documents?limit=1", key)[0], answers))


def answered(live: Live) -> list[dict[str, Any]]:
    """Return a line of log for each listing that was asked for."""
    return [event for event in live.events() if event.get("route") == "/documents"]


def test_the_workers_count_together(live: Live, key: str) -> None:
    assert statuses([live], key, 3 * LIMIT) == {200: LIMIT, 429: 2 * LIMIT}
    lines = live.wait_for(lambda: answered(live) if len(answered(live)) >= 3 * LIMIT else [])
    assert len({line["pid"] for line in lines if line["status"] == 200}) > 1, "one worker did all the work"


def test_counted_requests_outlive_a_worker(live: Live, key: str) -> None:
    assert statuses([live], key, LIMIT) == {200: LIMIT}
    boots = [event for event in live.events() if event["message"] == "worker started"]
    for boot in boots[:WORKERS]:
        os.kill(boot["pid"], signal.SIGKILL)
    live.wait_for(lambda: [e for e in live.events() if e["message"] == "worker started"][len(boots) + WORKERS - 1 :])
    assert statuses([live], key, LIMIT) == {429: LIMIT}


@needs_redis
def test_hosts_that_share_a_redis_count_together(environ: dict[str, str], key: str, tmp_path: Path) -> None:
    with Redis(tmp_path) as redis:
        shared = {**environ, "DREAMSCRIPT_RATE_LIMIT_STORAGE": redis.url, "DREAMSCRIPT_WORKERS": "2"}
        with Live("serve", shared) as one, Live("serve", shared) as other:
            assert statuses([one, other], key, 3 * LIMIT) == {200: LIMIT, 429: 2 * LIMIT}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DREAMSCRIPT_RATE_LIMIT", "100/minute", "read=600/minute,write=300/minute"),
        ("DREAMSCRIPT_RATE_LIMIT_STORAGE", "redis:hunter2", "redis://host:port"),
    ],
)
def test_a_setting_that_makes_no_sense_is_explained(
    environ: dict[str, str], name: str, value: str, expected: str
) -> None:
    failed = command("serve", environ={**environ, name: value})
    assert failed.returncode == 2
    assert f"{name} must be " in failed.stderr
    assert expected in failed.stderr
    assert "hunter2" not in failed.stderr

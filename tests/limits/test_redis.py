"""Hosts that share a Redis share their counts; without it requests go on, and are counted again once it is back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from app.limits import limiter as limiter_module
from app.limits.limiter import RETRY_SECONDS, Limiter, redis_storage
from app.limits.policies import policies
from tests.redis import Redis, needs_redis
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = [pytest.mark.nodatabase, needs_redis]

LIMIT = 40
POLICIES = policies(f"read={LIMIT}/hour,write=2/hour")


@pytest.fixture(autouse=True)
def _long_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a busy server, which would otherwise count as unreachable."""
    monkeypatch.setattr(limiter_module, "TIMEOUT_SECONDS", MAX_WAIT_SECONDS)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """An empty server."""
    with Redis(tmp_path) as running:
        yield running


class Host:
    """One host's limiter, with a clock that the test sets."""

    def __init__(self, redis: Redis, prefix: str = "test") -> None:
        self.now = 0.0
        self.storage = redis_storage(redis.url, prefix)
        self.limiter = Limiter(dict.fromkeys(POLICIES, self.storage), time.time, lambda: self.now)

    def granted(self, name: str = "read") -> bool | None:
        """Return whether a request was granted; None if the storage is down."""
        verdict = self.limiter.acquire(name, "p1")
        return None if verdict is None else verdict.granted

    def close(self) -> None:
        """Close the connections."""
        self.storage.storage.connection_pool.disconnect()


@pytest.fixture
def hosts(redis: Redis) -> Iterator[list[Host]]:
    """Two hosts that share the server."""
    hosts = [Host(redis), Host(redis)]
    yield hosts
    for host in hosts:
        host.close()


def test_hosts_and_threads_together_get_exactly_the_limit(hosts: list[Host]) -> None:
    granted: list[bool | None] = []

    def work(host: Host) -> None:
        granted.extend(host.granted() for _ in range(LIMIT))

    threads = [Thread(target=work, args=(host,)) for host in hosts * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (granted.count(True), granted.count(False)) == (LIMIT, 5 * LIMIT)


def test_two_installations_on_one_redis_count_separately(redis: Redis, hosts: list[Host]) -> None:
    stranger = Host(redis, "other")
    assert [hosts[0].granted("write") for _ in range(3)] == [True, True, False]
    assert stranger.granted("write") is True
    stranger.close()


def test_requests_go_on_without_redis_and_are_counted_once_it_is_back(redis: Redis, hosts: list[Host]) -> None:
    host = hosts[0]
    assert [host.granted("write") for _ in range(3)] == [True, True, False]
    redis.stop()
    assert [host.granted("write") for _ in range(3)] == [None, None, None]
    assert redis.start()
    host.now += RETRY_SECONDS
    assert [host.granted("write") for _ in range(3)] == [True, True, False]
    assert host.limiter.failures == 3


def test_a_restart_of_redis_between_two_requests_is_not_noticed(redis: Redis, hosts: list[Host]) -> None:
    """The idle connection was closed; a new one replaces it at once."""
    host = hosts[0]
    assert host.granted() is True
    redis.stop()
    assert redis.start()
    assert host.granted() is True
    assert host.limiter.failures == 0

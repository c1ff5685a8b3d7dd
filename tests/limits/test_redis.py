"""Hosts that share a Redis share what they count; when it goes away requests go on, and when it is back it counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from app.limits.limiter import PAUSE, Limiter, redis_storage
from app.limits.policies import policies
from tests.redis import Redis, needs_redis

pytestmark = [pytest.mark.nodatabase, needs_redis]

LIMIT = 40
POLICIES = policies(f"read={LIMIT}/hour,write=2/hour")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A server with nothing in it."""
    with Redis(tmp_path) as running:
        yield running


class Host:
    """One host's limiter, whose pauses end when the test says so."""

    def __init__(self, redis: Redis, prefix: str = "test") -> None:
        self.now = 0.0
        self.storage = redis_storage(redis.url, prefix)
        self.limiter = Limiter(dict.fromkeys(POLICIES, self.storage), time.time, lambda: self.now)

    def granted(self, name: str = "read") -> bool | None:
        """Tell whether a request goes on within its policy; None when that is not known."""
        verdict = self.limiter.acquire(name, "p1")
        return None if verdict is None else verdict.granted

    def close(self) -> None:
        """Let go of the server."""
        self.storage.storage.connection_pool.disconnect()


@pytest.fixture
def hosts(redis: Redis) -> Iterator[list[Host]]:
    """Two hosts that share the server."""
    found = [Host(redis), Host(redis)]
    yield found
    for host in found:
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


def test_what_is_left_is_known_everywhere(hosts: list[Host]) -> None:
    one, other = (host.limiter for host in hosts)
    first, second, third = one.look("write", "p1"), one.acquire("write", "p1"), other.acquire("write", "p1")
    assert first is not None
    assert (first.granted, first.remaining, first.seconds) == (True, 2, 0)
    assert second is not None
    assert third is not None
    assert (second.remaining, third.remaining) == (1, 0)
    assert 3000 < third.seconds <= second.seconds <= 3600
    refused = other.look("write", "p1")
    assert refused is not None
    assert (refused.granted, refused.remaining) == (False, 0)


def test_installations_do_not_meet(redis: Redis, hosts: list[Host]) -> None:
    stranger = Host(redis, "other")
    assert [hosts[0].granted("write") for _ in range(3)] == [True, True, False]
    assert stranger.granted("write") is True
    stranger.close()


def test_it_may_go_away_and_come_back(redis: Redis, hosts: list[Host]) -> None:
    host = hosts[0]
    assert [host.granted("write") for _ in range(3)] == [True, True, False]
    redis.stop()
    assert [host.granted("write") for _ in range(3)] == [None, None, None]
    redis.start()
    host.now += PAUSE
    assert [host.granted("write") for _ in range(3)] == [True, True, False]
    assert host.limiter.failures == 3


def test_a_restart_between_two_requests_goes_unnoticed(redis: Redis, hosts: list[Host]) -> None:
    """The connection that was kept is closed, and a new one is had at once."""
    host = hosts[0]
    assert host.granted() is True
    redis.stop()
    redis.start()
    assert host.granted() is True
    assert host.limiter.failures == 0

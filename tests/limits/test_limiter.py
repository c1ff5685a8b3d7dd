"""The limiter's verdicts; a storage that is down neither refuses nor delays requests."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

import pytest

from app.limits import limiter as limiter_module
from app.limits.limiter import RETRY_SECONDS, Limiter, RedisWindows, Verdict, redis_storage
from app.limits.policies import policies
from app.limits.shared_windows import SharedWindows
from tests.clock import ManualClock

pytestmark = pytest.mark.nodatabase

POLICIES = policies("read=3/minute,write=2/second")


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock(1000.0)


@pytest.fixture
def limiter(clock: ManualClock) -> Limiter:
    """A limiter of one process."""
    return Limiter({policy: SharedWindows(policy.amount, clock) for policy in POLICIES}, clock)


def facts(verdict: Verdict | None) -> tuple[bool, int, int]:
    """Return a verdict as (granted, remaining, seconds)."""
    assert verdict is not None
    return verdict.granted, verdict.remaining, verdict.seconds


def test_the_remaining_count_and_the_seconds_until_the_next(limiter: Limiter, clock: ManualClock) -> None:
    assert facts(limiter.look("read", "p1")) == (True, 3, 0)
    assert facts(limiter.acquire("read", "p1")) == (True, 2, 60)
    clock.now += 10.5
    assert facts(limiter.look("read", "p1")) == (True, 2, 50)
    assert facts(limiter.acquire("read", "p1")) == (True, 1, 50)
    assert facts(limiter.acquire("read", "p1")) == (True, 0, 50)
    assert facts(limiter.acquire("read", "p1")) == (False, 0, 50)
    assert facts(limiter.look("read", "p1")) == (False, 0, 50)


def test_a_refusal_names_the_second_of_the_next_grant(limiter: Limiter, clock: ManualClock) -> None:
    clock.now += 0.3
    for _ in range(3):
        limiter.acquire("read", "p1")
    clock.now += 0.4
    wait = facts(limiter.acquire("read", "p1"))[2]
    clock.now += wait - 1
    assert facts(limiter.acquire("read", "p1"))[0] is False
    clock.now += 1
    assert facts(limiter.acquire("read", "p1")) == (True, 2, 60)


def test_policies_and_principals_are_counted_separately(limiter: Limiter) -> None:
    for _ in range(4):
        limiter.acquire("read", "p1")
    assert facts(limiter.look("read", "p2")) == (True, 3, 0)
    assert facts(limiter.look("write", "p1")) == (True, 2, 0)
    assert facts(limiter.look("failed", "p1")) == (True, 3, 0)


def unreachable(storage: RedisWindows, steady: Callable[[], float]) -> Limiter:
    """Return a limiter whose storage does not answer."""
    return Limiter(dict.fromkeys(POLICIES, storage), lambda: 0.0, steady)


def test_without_a_storage_requests_are_granted_and_logged_once(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    limiter = unreachable(redis_storage("redis://:hunter2@127.0.0.1:1", "test"), clock)
    with caplog.at_level(logging.WARNING, "dreamscript.limits"):
        assert {limiter.acquire("read", "p1") for _ in range(50)} == {None}
        assert limiter.look("read", "p1") is None
        clock.now += RETRY_SECONDS
        assert limiter.acquire("write", "p1") is None
    assert limiter.failures == 52
    assert [(record.__dict__["failure"], record.__dict__["requests"]) for record in caplog.records] == [
        ("ConnectionError", 1),
        ("ConnectionError", 51),
    ]
    assert "hunter2" not in caplog.text


def test_a_storage_that_hangs_is_not_asked_again_for_a_while(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the time-out this test would not end."""
    monkeypatch.setattr(limiter_module, "TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        limiter = unreachable(redis_storage(f"redis://127.0.0.1:{silent.getsockname()[1]}", "test"), clock)
        assert {limiter.acquire("read", "p1") for _ in range(20)} == {None}
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
        clock.now += RETRY_SECONDS
        assert limiter.acquire("read", "p1") is None
        silent.accept()[0].close()
    assert limiter.failures == 21

"""Asks the storage whether a request is within its policy, and lets everything through while there is no answer."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from limits.errors import StorageError
from limits.storage import RedisStorage, Storage
from limits.strategies import MovingWindowRateLimiter
from redis import ConnectionPool

from app.limits.policies import MEMORY, Policy
from app.limits.shared_windows import SharedWindows
from app.settings import Settings

log = logging.getLogger("dreamscript.limits")

# Seconds that a request waits for Redis, and that Redis is left alone after it has failed.
TIMEOUT = 0.25
PAUSE = 5.0

T = TypeVar("T")


@dataclass(frozen=True)
class Verdict:
    """Whether a request may go on, how many more may, and in how many whole seconds it will be one more.

    ``seconds`` is 0 where all of the policy is left.
    """

    policy: Policy
    granted: bool
    remaining: int
    seconds: int


class Limiter:
    """Counts requests under the named policies, each in its storage. Verdicts are None where a storage gives none.

    ``clock`` is that of the storages, ``steady`` one that nobody sets; both count seconds. ``failures`` tells how many
    requests were let through because of a storage.
    """

    def __init__(
        self,
        storages: Mapping[Policy, Storage],
        clock: Callable[[], float],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policies = {policy.name: policy for policy in storages}
        self._windows = {policy.name: MovingWindowRateLimiter(storage) for policy, storage in storages.items()}
        self._clock, self._steady = clock, steady
        self._lock = Lock()
        self._resting_until = -math.inf
        self._told = 0
        self.failures = 0

    @classmethod
    def build(cls, settings: Settings) -> Limiter | None:
        """Return the limiter of these settings, None where nothing is limited.

        It opens no connection. Processes that are forked afterwards share what it counts.
        """
        if not settings.rate_limit:
            return None
        if settings.rate_limit_storage == MEMORY:
            return cls({policy: SharedWindows(policy.item.amount) for policy in settings.rate_limit}, time.monotonic)
        redis = redis_storage(settings.rate_limit_storage, f"{settings.prefix}-limits")
        return cls(dict.fromkeys(settings.rate_limit, redis), time.time)

    def acquire(self, name: str, who: str) -> Verdict | None:
        """Count one request of ``who`` under the policy ``name``, if it is within it."""
        policy, windows = self._policies[name], self._windows[name]
        return self._ask(lambda: self._verdict(policy, windows.hit(policy.item, name, who), who))

    def look(self, name: str, who: str) -> Verdict | None:
        """Tell whether one more request of ``who`` would be within the policy ``name``."""
        return self._ask(lambda: self._verdict(self._policies[name], None, who))

    def _verdict(self, policy: Policy, granted: bool | None, who: str) -> Verdict:
        stats = self._windows[policy.name].get_window_stats(policy.item, policy.name, who)
        if granted is None:
            granted = stats.remaining > 0
        if granted and stats.remaining >= policy.item.amount:
            return Verdict(policy, True, policy.item.amount, 0)
        # Between the two questions an entry may have grown too old; who was refused is still told to wait. The clock
        # of another host may be ahead.
        seconds = min(max(1, math.ceil(stats.reset_time - self._clock())), policy.item.get_expiry())
        return Verdict(policy, granted, max(0, stats.remaining) if granted else 0, seconds)

    def _ask(self, question: Callable[[], T]) -> T | None:
        """Return the storage's answer; without one let it rest, so that requests do not wait for it one by one."""
        reason = None
        if self._steady() >= self._resting_until:
            try:
                return question()
            except StorageError as error:
                reason = error.storage_error
        with self._lock:
            self.failures += 1
            if reason is None or self._steady() < self._resting_until:
                return None
            self._resting_until = self._steady() + PAUSE
            unlimited, self._told = self.failures - self._told, self.failures
        facts = {"failure": type(reason).__name__, "requests": unlimited}
        log.warning("rate limits are not applied, since their storage does not answer", extra=facts)
        return None


def redis_storage(url: str, prefix: str) -> RedisStorage:
    """Return the storage at ``url``, where all keys begin with ``prefix``. It connects when it is first asked."""
    # A pool made like this replaces a connection that was closed while idle, and tries nothing else again.
    pool = ConnectionPool.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
    return RedisStorage(url, connection_pool=pool, key_prefix=prefix, wrap_exceptions=True)

"""Asks the storage whether a request is within its policy, and lets everything through while there is no answer."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Protocol, TypeVar

from limits.errors import StorageError
from limits.storage import RedisStorage
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


class Windows(Protocol):
    """Where requests are counted, in moving windows of ``expiry`` seconds."""

    def enter(self, key: str, limit: int, expiry: int) -> tuple[bool, float, int]:
        """Make an entry if it is one of ``limit`` at most; tell whether, and what ``get_moving_window`` does then."""

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the moment of the oldest entry that counts, else now, and the number of entries."""


class RedisWindows(RedisStorage):
    """The windows that all hosts share."""

    def enter(self, key: str, limit: int, expiry: int) -> tuple[bool, float, int]:
        """Ask two questions; another host may come between them."""
        return self.acquire_entry(key, limit, expiry), *self.get_moving_window(key, limit, expiry)


class Limiter:
    """Counts requests under the named policies, each in its storage. Verdicts are None where a storage gives none.

    ``clock`` is that of the storages, ``steady`` one that nobody sets; both count seconds. ``failures`` tells how many
    requests were let through because of a storage.
    """

    def __init__(
        self,
        windows: Mapping[Policy, Windows],
        clock: Callable[[], float],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policies = {policy.name: policy for policy in windows}
        self._windows = {policy.name: kept for policy, kept in windows.items()}
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
        key, amount, expiry = f"{name}/{who}", policy.item.amount, policy.item.get_expiry()
        return self._ask(lambda: self._verdict(policy, *windows.enter(key, amount, expiry)))

    def look(self, name: str, who: str) -> Verdict | None:
        """Tell whether one more request of ``who`` would be within the policy ``name``."""
        policy, windows = self._policies[name], self._windows[name]
        key, amount, expiry = f"{name}/{who}", policy.item.amount, policy.item.get_expiry()

        def look() -> Verdict:
            oldest, count = windows.get_moving_window(key, amount, expiry)
            return self._verdict(policy, count < amount, oldest, count)

        return self._ask(look)

    def _verdict(self, policy: Policy, granted: bool, oldest: float, count: int) -> Verdict:
        amount, expiry = policy.item.amount, policy.item.get_expiry()
        if granted and count <= 0:
            return Verdict(policy, True, amount, 0)
        # Between two questions an entry may have grown too old; who was refused is still told to wait. The clock of
        # another host may be ahead.
        seconds = min(max(1, math.ceil(oldest + expiry - self._clock())), expiry)
        return Verdict(policy, granted, max(0, amount - count) if granted else 0, seconds)

    def _ask(self, question: Callable[[], T]) -> T | None:
        """Return the storage's answer; without one let it rest, so that requests do not wait for it one by one."""
        reason = None
        if self._steady() >= self._resting_until:
            try:
                return question()
            except (StorageError, OSError) as error:
                reason = error.storage_error if isinstance(error, StorageError) else error
        with self._lock:
            self.failures += 1
            if reason is None or self._steady() < self._resting_until:
                return None
            self._resting_until = self._steady() + PAUSE
            unlimited, self._told = self.failures - self._told, self.failures
        facts = {"failure": type(reason).__name__, "requests": unlimited}
        log.warning("rate limits are not applied, since their storage does not answer", extra=facts)
        return None


def redis_storage(url: str, prefix: str) -> RedisWindows:
    """Return the storage at ``url``, where all keys begin with ``prefix``. It connects when it is first asked."""
    # A pool made like this replaces a connection that was closed while idle, and tries nothing else again.
    pool = ConnectionPool.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
    return RedisWindows(url, connection_pool=pool, key_prefix=prefix, wrap_exceptions=True)

"""Decides whether a request is within its policy, and grants every request while the storage does not answer."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import NamedTuple, Protocol

from limits.errors import StorageError
from limits.storage import RedisStorage
from redis import ConnectionPool

from app.limits.policies import MEMORY, Policy
from app.limits.shared_windows import SharedWindows
from app.settings import Settings

log = logging.getLogger("dreamscript.limits")

# A request waits this long for Redis; after a failure Redis is not asked again for RETRY_SECONDS.
TIMEOUT_SECONDS = 0.25
RETRY_SECONDS = 5.0

# Whether a request is granted, the time of the oldest entry that counts, and the number of entries.
Entry = tuple[bool, float, int]


class Verdict(NamedTuple):
    """The decision on a request, how many more are granted now, and the whole seconds until one more is.

    ``seconds`` is 0 while nothing has been counted.
    """

    policy: Policy
    granted: bool
    remaining: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers that report it (draft-ietf-httpapi-ratelimit-headers)."""
        name, amount, expiry = self.policy
        return {
            "RateLimit-Policy": f'"{name}";q={amount};w={expiry}',
            "RateLimit": f'"{name}";r={self.remaining};t={self.seconds}',
        }


class Windows(Protocol):
    """Where requests are counted, in moving windows of ``expiry`` seconds."""

    def enter(self, key: str, limit: int, expiry: int) -> Entry:
        """Add an entry if there is room. Returns whether there was, and the result of ``get_moving_window``."""

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the time of the oldest entry that counts (now, if none does) and the number of entries."""


class RedisWindows(RedisStorage):
    """Windows that several hosts share through Redis."""

    def enter(self, key: str, limit: int, expiry: int) -> Entry:
        """Add an entry and read the window in two round trips; another host may write in between."""
        return self.acquire_entry(key, limit, expiry), *self.get_moving_window(key, limit, expiry)


class Limiter:
    """Count requests under the named policies, each in its storage. A verdict is None while the storage is down.

    ``clock`` is the storages' clock, ``steady`` a monotonic one; both count seconds. ``failures`` counts the requests
    that were granted because a storage was down; ``count_failure`` is called for each.
    """

    def __init__(
        self,
        windows: Mapping[Policy, Windows],
        clock: Callable[[], float],
        steady: Callable[[], float] = time.monotonic,
        count_failure: Callable[[], object] = lambda: None,
    ) -> None:
        self._policies = {policy.name: policy for policy in windows}
        self._windows = {policy.name: storage for policy, storage in windows.items()}
        self._clock, self._steady, self._count_failure = clock, steady, count_failure
        self._lock = Lock()
        self._retry_at = -math.inf
        self._reported = 0
        self.failures = 0

    @classmethod
    def build(cls, settings: Settings, count_failure: Callable[[], object] = lambda: None) -> Limiter | None:
        """Return the limiter of these settings, None if nothing is limited. It opens no connection.

        Processes that are forked afterwards share its counts.
        """
        if not settings.rate_limit:
            return None
        if settings.rate_limit_storage == MEMORY:
            return cls({policy: SharedWindows(policy.amount) for policy in settings.rate_limit}, time.monotonic)
        redis = redis_storage(settings.rate_limit_storage, f"{settings.prefix}-limits")
        return cls(dict.fromkeys(settings.rate_limit, redis), time.time, count_failure=count_failure)

    def acquire(self, name: str, who: str) -> Verdict | None:
        """Count one request of ``who`` if the policy ``name`` grants it."""
        return self._ask(name, who, lambda windows, *window: windows.enter(*window))

    def look(self, name: str, who: str) -> Verdict | None:
        """Return whether the policy ``name`` would grant one more request of ``who``, without counting it."""

        def look(windows: Windows, key: str, limit: int, expiry: int) -> Entry:
            oldest, count = windows.get_moving_window(key, limit, expiry)
            return count < limit, oldest, count

        return self._ask(name, who, look)

    def _verdict(self, policy: Policy, granted: bool, oldest: float, count: int) -> Verdict:
        _, amount, expiry = policy
        if granted and count <= 0:
            return Verdict(policy, True, amount, 0)
        # An entry may expire between two reads, and another host's clock may be ahead: a refusal always says to wait.
        seconds = min(max(1, math.ceil(oldest + expiry - self._clock())), expiry)
        return Verdict(policy, granted, max(0, amount - count) if granted else 0, seconds)

    def _ask(self, name: str, who: str, question: Callable[[Windows, str, int, int], Entry]) -> Verdict | None:
        """Return the verdict. After a failure the storage is not asked for a while, so that requests do not queue."""
        policy, reason = self._policies[name], None
        if self._steady() >= self._retry_at:
            try:
                entry = question(self._windows[name], f"{name}/{who}", policy.amount, policy.seconds)
                return self._verdict(policy, *entry)
            except (StorageError, OSError) as error:
                reason = error.storage_error if isinstance(error, StorageError) else error
        self._count_failure()
        with self._lock:
            self.failures += 1
            if reason is None or self._steady() < self._retry_at:
                return None
            self._retry_at = self._steady() + RETRY_SECONDS
            unlimited, self._reported = self.failures - self._reported, self.failures
        facts = {"failure": type(reason).__name__, "requests": unlimited}
        log.warning("rate limits are not applied: their storage does not answer", extra=facts)
        return None


def redis_storage(url: str, prefix: str) -> RedisWindows:
    """Return the storage at ``url``, with all keys under ``prefix``. It connects on first use."""
    # This pool replaces a connection that was closed while idle, and retries nothing else.
    pool = ConnectionPool.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS)
    return RedisWindows(url, connection_pool=pool, key_prefix=prefix, wrap_exceptions=True)

"""Counts each request against its rate limit, and composes the headers that report the rest."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from flask import request

from app.errors import TooManyRequests
from app.http.methods import is_read
from app.limits.limiter import Limiter, Verdict
from app.limits.policies import FAILED, READ, WRITE
from app.metric_definitions import RATE_LIMITED
from app.metrics import Metrics

if TYPE_CHECKING:
    from app.http.operations import Operation


class Quota:
    """The quota that one request is counted against (draft-ietf-httpapi-ratelimit-headers); none without a limiter."""

    def __init__(self, limiter: Limiter | None, metrics: Metrics, operation: Operation) -> None:
        self._limiter, self._metrics, self._operation = limiter, metrics, operation
        self._verdict: Verdict | None = None
        self._pending: tuple[str, str] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that report the quota; none while nothing was counted, or if its storage is down."""
        return self._verdict.headers if self._verdict else {}

    def admit(self, principal: str) -> None:
        """Count the request against its principal. Raises TooManyRequests.

        A 304 is free. A read that may become one is only checked here, and counted by ``finish``.
        """
        if self._limiter is None or self._operation.is_uncounted:
            return
        policy = READ if is_read() else WRITE
        if policy == READ and (self._operation.may_be_uncounted or "If-None-Match" in request.headers):
            self._enforce(self._limiter.look(policy, principal))
            # If the storage is down, it is not asked again.
            self._pending = (policy, principal) if self._verdict else None
        else:
            self._enforce(self._limiter.acquire(policy, principal))

    def count_failure(self) -> None:
        """Count a failed authentication against the client's address. Raises TooManyRequests."""
        if self._limiter is not None:
            self._enforce(self._limiter.acquire(FAILED, request.remote_addr or ""))

    def finish(self, *, is_free: bool) -> None:
        """Count a read that was only checked, unless it has turned out to be free. Raises TooManyRequests."""
        if self._limiter and self._pending and not is_free:
            self._enforce(self._limiter.acquire(*self._pending))

    def _enforce(self, verdict: Verdict | None) -> None:
        self._verdict = verdict
        if verdict is not None and not verdict.granted:
            self._metrics.count(RATE_LIMITED, verdict.policy.name)
            # Spread the retries of clients that were refused together.
            wait = verdict.seconds + random.randint(0, verdict.seconds // 5)  # noqa: S311 - nobody gains by guessing it
            raise TooManyRequests(headers={"Retry-After": str(wait)})

"""Counts requests before their views run, and reports the quota left (draft-ietf-httpapi-ratelimit-headers)."""

from __future__ import annotations

import random
from http import HTTPStatus

from flask import request

from app.errors import TooManyRequests
from app.limits.limiter import Limiter, Verdict
from app.limits.policies import FAILED, READ, WRITE

# The headers of every counted answer for the OpenAPI document.
HEADERS = ("RateLimit-Policy", "RateLimit")


class Quota:
    """The quota that one request is counted against. Without a limiter nothing is counted."""

    def __init__(self, limiter: Limiter | None) -> None:
        self._limiter = limiter
        self._verdict: Verdict | None = None
        self._pending: tuple[str, str] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that report the quota; none while nothing was counted, or if its storage is down."""
        return rate_limit_headers(self._verdict) if self._verdict else {}

    def admit(self, principal: str) -> None:
        """Count the request against its principal. Raises TooManyRequests.

        A 304 is free. A read that may become one is only checked here, and counted by ``finish``.
        """
        if self._limiter is None:
            return
        policy = READ if request.method in ("GET", "HEAD") else WRITE
        if policy == READ and "If-None-Match" in request.headers:
            self._enforce(self._limiter.look(policy, principal))
            # If the storage is down, it is not asked again.
            self._pending = (policy, principal) if self._verdict else None
        else:
            self._enforce(self._limiter.acquire(policy, principal))

    def count_failure(self) -> None:
        """Count a failed authentication against the client's address. Raises TooManyRequests."""
        if self._limiter is not None:
            self._enforce(self._limiter.acquire(FAILED, request.remote_addr or ""))

    def finish(self, status: int | None) -> None:
        """Count a read that was only checked, now that its status shows that it is not free. Raises TooManyRequests."""
        if self._limiter and self._pending and status != HTTPStatus.NOT_MODIFIED:
            self._enforce(self._limiter.acquire(*self._pending))

    def _enforce(self, verdict: Verdict | None) -> None:
        self._verdict = verdict
        if verdict is not None and not verdict.granted:
            # Spread the retries of clients that were refused together.
            wait = verdict.seconds + random.randint(0, verdict.seconds // 5)  # noqa: S311 - nobody gains by guessing it
            raise TooManyRequests(headers={"Retry-After": str(wait)})


def rate_limit_headers(verdict: Verdict) -> dict[str, str]:
    """Return both headers."""
    policy, item = verdict.policy, verdict.policy.item
    return {
        "RateLimit-Policy": f'"{policy.name}";q={item.amount};w={item.get_expiry()}',
        "RateLimit": f'"{policy.name}";r={verdict.remaining};t={verdict.seconds}',
    }

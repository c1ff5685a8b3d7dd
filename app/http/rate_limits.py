"""Counts requests before their views run, and tells how many more may come (draft-ietf-httpapi-ratelimit-headers)."""

from __future__ import annotations

import random
from functools import partial
from http import HTTPStatus

from flask import Flask, Response, g, request

from app.errors import TooManyRequests
from app.http import errors
from app.limits.limiter import Limiter, Verdict
from app.limits.policies import FAILED, READ, WRITE

# The headers of every counted answer for the OpenAPI document.
HEADERS = ("RateLimit-Policy", "RateLimit")


def admit(limiter: Limiter | None, principal: str) -> None:
    """Count the request against its principal. Raises TooManyRequests.

    A 304 is not counted, so where it may come to one this only looks whether there is room, and the answer decides.
    """
    if limiter is None:
        return
    name = READ if request.method in ("GET", "HEAD") else WRITE
    if name == READ and "If-None-Match" in request.headers:
        _heed(limiter.look(name, principal))
        g.count_answer = partial(limiter.acquire, name, principal)
    else:
        _heed(limiter.acquire(name, principal))


def count_failure(limiter: Limiter | None) -> None:
    """Count a failed attempt to authenticate against the address that it came from. Raises TooManyRequests."""
    if limiter is not None:
        _heed(limiter.acquire(FAILED, request.remote_addr or ""))


def install(app: Flask) -> None:
    """Let every counted answer of ``app`` say how its principal stands."""

    @app.after_request
    def tell(response: Response) -> Response:
        count = g.pop("count_answer", None)
        # A storage that could not be looked at is not asked once more.
        if count and g.verdict and response.status_code != HTTPStatus.NOT_MODIFIED:
            try:
                _heed(count())
            except TooManyRequests as error:
                response = errors.answer(error)
        verdict: Verdict | None = g.get("verdict")
        if verdict is not None:
            response.headers.update(described(verdict))
        return response


def described(verdict: Verdict) -> dict[str, str]:
    """Return both headers."""
    policy, item = verdict.policy, verdict.policy.item
    return {
        "RateLimit-Policy": f'"{policy.name}";q={item.amount};w={item.get_expiry()}',
        "RateLimit": f'"{policy.name}";r={verdict.remaining};t={verdict.seconds}',
    }


def _heed(verdict: Verdict | None) -> None:
    """Keep the verdict for the answer. Raises TooManyRequests if it is against the request."""
    g.verdict = verdict
    if verdict is not None and not verdict.granted:
        # Those who were refused together do not all come back together.
        wait = verdict.seconds + random.randint(0, verdict.seconds // 5)  # noqa: S311 - nobody gains by guessing it
        raise TooManyRequests(headers={"Retry-After": str(wait)})

"""Runs of requests that end in a crash, and the time that must go by until they can be repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.errors import Unavailable
from app.services import Services


class Crash(BaseException):
    """The process ends here, so nothing is answered or released."""


def end_leases(services: Services) -> None:
    """Let the time go by after which every request that was begun is taken over."""
    meta = services.store["meta"]
    for row in meta.ids("idempotency:", "idempotency;", limit=1000):
        record = meta.get(row.id)
        assert record is not None
        meta.replace({**record, "leased_until": record["created_at"]})


def crash(services: Services, monkeypatch: pytest.MonkeyPatch, send: Callable[[], object]) -> None:
    """Send a request that the test lets crash, and let its lease end. Undoes all patches."""
    with pytest.raises(Crash):
        send()
    monkeypatch.undo()
    end_leases(services)


def then_crash(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``method`` with a crash after it."""

    def call(*args: Any, **kwargs: Any) -> Any:
        method(*args, **kwargs)
        raise Crash

    return call


def then_fail(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``method`` with 503 after it, so that the request can be repeated at once."""

    def call(*args: Any, **kwargs: Any) -> Any:
        method(*args, **kwargs)
        raise Unavailable

    return call

"""The request being answered: its id, its deadline, and the facts for its line in the access log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

# A server puts the arrival of the headers, in seconds of the monotonic clock, under this key of the WSGI environ.
STARTED = "dreamscript.started"


@dataclass
class RequestContext:
    """``deadline`` is a moment of the monotonic clock. ``route``, ``principal`` and ``cache`` are logged once known."""

    request_id: str
    deadline: float
    route: str | None = None
    principal: str | None = None
    cache: str | None = None


_CURRENT: ContextVar[RequestContext | None] = ContextVar("request", default=None)


@contextmanager
def request_context(*, request_id: str, seconds: float) -> Iterator[RequestContext]:
    """Let everything inside belong to the request ``request_id``, which has ``seconds`` from now."""
    context = RequestContext(request_id, time.monotonic() + seconds)
    token = _CURRENT.set(context)
    try:
        yield context
    finally:
        _CURRENT.reset(token)


def current_request() -> RequestContext:
    """Return the request being answered. Raises LookupError outside of one."""
    context = _CURRENT.get()
    if context is None:
        raise LookupError("no request is being answered")
    return context


def current_request_id() -> str | None:
    """Return the id of the request being answered, None outside of one."""
    context = _CURRENT.get()
    return None if context is None else context.request_id


def remaining() -> float | None:
    """Return the seconds that the current request has left, None outside of one; at or below 0 it is too late."""
    context = _CURRENT.get()
    return None if context is None else context.deadline - time.monotonic()

"""What goes with a request wherever it goes: its id, and the moment by which it must be answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# What a WSGI environment calls the moment, by the monotonic clock, from which a request's time is counted.
STARTED = "dreamscript.started"

_REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
_DEADLINE: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def request_context(*, request_id: str, seconds: float) -> Iterator[None]:
    """Let everything inside belong to the request ``request_id``, which has ``seconds`` from now."""
    id_token, deadline_token = _REQUEST_ID.set(request_id), _DEADLINE.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _REQUEST_ID.reset(id_token)
        _DEADLINE.reset(deadline_token)


def current_request_id() -> str | None:
    """Return the id of the request that is being answered, None outside of one."""
    return _REQUEST_ID.get()


def remaining() -> float | None:
    """Return the seconds that the current request has left, None outside of one; at or below 0 it is too late."""
    deadline = _DEADLINE.get()
    return None if deadline is None else deadline - time.monotonic()

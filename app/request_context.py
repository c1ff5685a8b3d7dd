"""The request being answered: its id, its deadline, and the facts for its record when it is finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple

# A server puts the arrival of the headers, in seconds of the monotonic clock, under this key of the WSGI environ.
STARTED = "dreamscript.started"
# The methods of the API. A client can send any other.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "COPY", "OPTIONS")


class RequestRecord(NamedTuple):
    """A finished request, for the access log and the metrics.

    ``route`` is the pattern of the path, None if there is none. ``path`` and ``query`` are those of WSGI, and the query
    may hold a cursor. ``principal`` and ``key_id`` are None without a valid key. ``client`` is the client's address, as
    the trusted proxies report it. ``is_cached``: the response cache answered. ``seconds`` are without
    ``waited_seconds``, when the client waited for changes.
    """

    method: str
    route: str | None
    path: str
    query: str
    status: int
    seconds: float
    body_bytes: int
    request_id: str
    client: str
    principal: str | None
    key_id: int | None
    is_cached: bool
    waited_seconds: float = 0.0


# Receives the record of each request once it is answered, in any thread; must be quick and raise nothing.
Report = Callable[[RequestRecord], object]


@dataclass
class RequestContext:
    """``deadline`` is a moment of the monotonic clock. The other facts are set once known, for the request's record."""

    request_id: str
    deadline: float
    route: str | None = None
    principal: str | None = None
    key_id: int | None = None


_CURRENT: ContextVar[RequestContext | None] = ContextVar("request", default=None)


def unreported(_: RequestRecord) -> None:
    """Ignore a finished request."""


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

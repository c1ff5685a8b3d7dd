"""Lets CouchDB's feed of changes go back, as it may after a restart or on another node, or come late."""

from __future__ import annotations

import re
from dataclasses import replace

from proofs.proxy import PASS, Exchange, Fault, Plan, Request, passing

SINCE = re.compile(r"(?<=[?&]since=)[^& ]+")
# How long a change that the database has sent is held back.
LATE_SECONDS = 0.3


def asks_for_changes(request: Request) -> bool:
    """Return whether a request asks for the changes since some place."""
    return request.target.partition("?")[0].endswith("/_changes") and bool(SINCE.search(request.target))


def either(first: Plan, second: Plan) -> Plan:
    """Return a plan with the faults of ``first``, and those of ``second`` for the requests that it passes."""

    def choose(request: Request) -> Fault:
        fault = first(request)
        return second(request) if fault is PASS else fault

    return choose


def _rewind(exchange: Exchange) -> bool:
    """Send a request back to the start.

    No other place is surely an earlier one: each shard has its own, and a lower sum may be ahead in one of them.
    """
    request = exchange.request
    target = SINCE.sub("0", request.target)
    raw = request.raw.replace(request.target.encode(), target.encode(), 1)
    return passing(replace(exchange, request=replace(request, target=target, raw=raw)))


def _late(exchange: Exchange) -> bool:
    """Hold back the changes, but not the heartbeats before them, so that they show an older state when they arrive."""
    is_late = False
    for piece in exchange.forward():
        if b'"seq"' in piece and not is_late:
            is_late = True
            if not exchange.wait(LATE_SECONDS):
                return False
        exchange.client.sendall(piece)
    return True


REWIND, LATE = Fault("rewind", _rewind), Fault("late changes", _late)

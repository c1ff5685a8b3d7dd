"""Lets CouchDB's feed of changes go back, as it may after a restart or on another node (docs/couchdb-quirks.md)."""

from __future__ import annotations

import random
import re
from dataclasses import replace

from proofs.proxy import Exchange, Fault, Plan, Request, passing

SINCE = re.compile(r"(?<=[?&]since=)[^& ]+")


class Rewinds:
    """A plan that sends a ``share`` of the requests for changes back to the start; ``others`` decides on the rest.

    No other place is surely an earlier one: each shard has its own, and a lower sum may be ahead in one of them.
    """

    def __init__(self, seed: int, share: float, others: Plan) -> None:
        self._chance, self._share, self._others = random.Random(seed), share, others

    def __call__(self, request: Request) -> Fault:
        """Choose the fault of a request."""
        is_feed = request.target.partition("?")[0].endswith("/_changes") and SINCE.search(request.target)
        return REWIND if is_feed and self._chance.random() < self._share else self._others(request)


def _rewind(exchange: Exchange) -> bool:
    request = exchange.request
    target = SINCE.sub("0", request.target)
    raw = request.raw.replace(request.target.encode(), target.encode(), 1)
    return passing(replace(exchange, request=replace(request, target=target, raw=raw)))


REWIND = Fault("rewind", _rewind)

"""Lets CouchDB's feed of changes go back, as it may after a restart or on another node (docs/couchdb-quirks.md)."""

from __future__ import annotations

import random
import re
from collections import defaultdict, deque
from dataclasses import replace

from proofs.proxy import Exchange, Fault, Plan, Request, passing

SINCE = re.compile(r"(?<=[?&]since=)[^& ]+")
# Places of each feed to go back to.
PLACES = 100


class Rewinds:
    """A plan that sends a ``share`` of the requests for changes to an earlier place; ``others`` decides on the rest."""

    def __init__(self, seed: int, share: float, others: Plan) -> None:
        self._chance, self._share, self._others = random.Random(seed), share, others
        self._places: defaultdict[str, deque[str]] = defaultdict(lambda: deque(["0"], PLACES))

    def __call__(self, request: Request) -> Fault:
        """Choose the fault of a request."""
        path = request.target.partition("?")[0]
        since = SINCE.search(request.target)
        if not path.endswith("/_changes") or since is None:
            return self._others(request)
        earlier = [place for place in self._places[path] if _number(place) <= _number(since[0])]
        place = self._chance.choice(earlier or ["0"])
        self._places[path].append(since[0])
        if self._chance.random() >= self._share:
            return self._others(request)
        return Fault("rewind", lambda exchange: _rewind(exchange, place))


def _number(place: str) -> int:
    """Return the number at the start of a place in a URL; CouchDB's are JSON texts."""
    return int(place.removeprefix("%22").partition("-")[0])


def _rewind(exchange: Exchange, place: str) -> bool:
    request = exchange.request
    target = SINCE.sub(place, request.target)
    raw = request.raw.replace(request.target.encode(), target.encode(), 1)
    return passing(replace(exchange, request=replace(request, target=target, raw=raw)))

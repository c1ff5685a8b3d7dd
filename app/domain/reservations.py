"""Reservations: signed lists of ids that a client may create items under later, such as while it is offline.

A reservation is valid for its principal, its resource type and the feed identity of `-meta`, where ids are claimed. A
restore renews that identity, since the restored database does not remember the ids that were reserved after the backup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any, NamedTuple

from itsdangerous import BadData, URLSafeSerializer

from app.domain.resources import ResourceType, stamp
from app.errors import Forbidden, Unavailable
from app.store.feed import Feed

VALIDITY = timedelta(days=30)
MAX_RESERVED_IDS = 1_000
# A reservation has its ids as ranges: the blocks of a new installation are the shortest.
MAX_TEXT_BYTES = 2_048


class Reservation(NamedTuple):
    """Ids in rising order, the text that proves them, and its end as RFC 3339 text."""

    ids: tuple[int, ...]
    text: str
    expires_at: str


@dataclass(frozen=True)
class ReservedIds:
    """The ids of a reservation. ``reason`` explains why there are none."""

    ranges: tuple[range, ...] = ()
    reason: str = "This id is not in the reservation."

    def check(self, public_id: int) -> None:
        """Raise Forbidden unless an item may be created under this id."""
        if not any(public_id in each for each in self.ranges):
            raise Forbidden(self.reason)


class Reservations:
    """Writes and reads reservations. The first of ``secrets`` signs, and all of them verify."""

    def __init__(self, meta: Feed, secrets: Sequence[str], now: Callable[[], datetime]) -> None:
        self._meta, self._secrets, self._now = meta, secrets, now

    def issue(self, principal: str, resource_type: ResourceType, ids: Iterable[int]) -> Reservation:
        """Return the reservation of ids that nobody else is given. Raises Unavailable."""
        ordered = tuple(sorted(ids))
        expires_at = (self._now() + VALIDITY).replace(microsecond=0)
        content = [int(expires_at.timestamp()), [[each[0], len(each)] for each in _ranges(ordered)]]
        serializer = self._serializers(principal, resource_type)[0]
        return Reservation(ordered, str(serializer.dumps(content)), stamp(expires_at))

    def read(self, text: str, principal: str, resource_type: ResourceType) -> ReservedIds:
        """Return the ids of a reservation, none if it is not valid for the principal. Raises Unavailable."""
        contents = (_load(serializer, text) for serializer in self._serializers(principal, resource_type))
        content = next(filter(None, contents), None)
        if content is None:
            return ReservedIds(reason="The reservation is not valid for this key and this installation.")
        expires_at, ranges = content
        if expires_at <= self._now().timestamp():
            return ReservedIds(reason="The reservation has expired.")
        return ReservedIds(tuple(range(first, first + count) for first, count in ranges))

    def _serializers(self, principal: str, resource_type: ResourceType) -> list[URLSafeSerializer]:
        identity = self._meta.identity()
        if identity is None:
            # The first deployment of this version writes it; /readyz reports it.
            raise Unavailable
        salt = f"reservation:{resource_type.name}:{identity}:{principal}"
        options = {"digest_method": sha256}
        return [URLSafeSerializer(secret, salt=salt, signer_kwargs=options) for secret in self._secrets]


def _load(serializer: URLSafeSerializer, text: str) -> Any:
    """Return the content of a reservation, None if it is not as it was issued: base64 has several spellings."""
    try:
        content = serializer.loads(text)
    except BadData:
        return None
    return content if serializer.dumps(content) == text else None


def _ranges(ids: Sequence[int]) -> list[range]:
    """Return the runs of consecutive ids."""
    starts = [place for place, (one, other) in enumerate(pairwise(ids), 1) if other != one + 1]
    bounds = pairwise([0, *starts, len(ids)])
    return [range(ids[start], ids[end - 1] + 1) for start, end in bounds]

"""The ids in a stream: a client that is cut off anywhere continues from a place that repeats all that it may lack."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from app.api.change_stream import ChangeStream
from app.domain.access import Access
from app.domain.changes.changes import Changes
from app.domain.changes.cursor import Checkpoint, Place
from app.domain.changes.query import ChangesQuery
from app.domain.changes.subscription import Portion, Subscription

pytestmark = pytest.mark.nodatabase

ACCESS = Access(1, "p", frozenset())


def at(sequence: int) -> Checkpoint:
    return Checkpoint(0, "scope", "2026-11-28T12:00:00Z", {"document": Place("identity", sequence)})


class OnePortion:
    """A subscription with one portion to take, and the changes that create it."""

    def __init__(self, portion: Portion) -> None:
        self._portion = portion

    def subscribe(self, *_: object, **__: object) -> Subscription:
        return cast(Subscription, self)

    def take(self, *_: object) -> Portion:
        return self._portion


def taken(portion: Portion) -> bytes:
    """Return the events that a stream makes of a portion; their ids are sequences."""
    query = replace(ChangesQuery(limit=10), since=at(9))
    changes = cast(Changes, OnePortion(portion))
    stream = ChangeStream(changes, ACCESS, query, lambda checkpoint: str(checkpoint.places["document"].sequence))
    part = stream.take()
    assert part is not None
    return part.data


@pytest.mark.parametrize(
    ("events", "earlier", "data"),
    [
        ((b"a;", b"b;", b"c;"), None, b"a;b;id: 7\nc;"),
        ((b"a;", b"b;", b"c;"), at(4), b"id: 4\na;b;id: 7\nc;"),
        ((b"a;",), at(4), b"id: 7\na;"),
        ((), None, b""),
    ],
    ids=["only the last one", "also the first one", "one event", "no event"],
)
def test_the_first_event_has_an_id_if_it_may_be_older_than_the_poll(
    events: tuple[bytes, ...], earlier: Checkpoint | None, data: bytes
) -> None:
    assert taken(Portion(events, at(7), earlier)) == data

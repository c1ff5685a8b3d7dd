"""The hubs of both types with feeds that the test writes, and clients that have joined them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from app.domain.access import Access, reach
from app.domain.changes.cursor import Checkpoint, Place
from app.domain.changes.departures import LEFT
from app.domain.changes.hub import Hub
from app.domain.changes.subscription import Channel, Portion, Subscription
from app.domain.changes.visibility import Shown, View
from app.domain.resources import DOCUMENT, PROJECT, ResourceType, stamp
from app.errors import Unavailable
from app.store.feed import FeedPart, FeedRow
from app.store.items import StoredItem
from tests.clock import ManualClock

HOME, AWAY = 10, 11
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def row(public_id: int, sequence: int | str, project: int | None = None, **members: Any) -> FeedRow:
    """Return a row of a document; ``generation``, ``left`` and ``deleted`` may be set."""
    generation, deleted = members.pop("generation", 1), members.pop("deleted", False)
    fields = {"id": public_id, "title": "x", "updated_at": stamp(NOW), **members}
    if project is not None:
        fields["project_id"] = project
    return FeedRow(StoredItem(DOCUMENT.doc_id(public_id), f"{generation}-a", fields, deleted), sequence)


def project_row(public_id: int, sequence: int) -> FeedRow:
    fields = {"id": public_id, "name": "x"}
    return FeedRow(StoredItem(PROJECT.doc_id(public_id), "1-a", fields), sequence)


def departure(project: int, generation: int) -> dict[str, Any]:
    return {"project": project, "generation": generation, "at": stamp(NOW)}


class Feeds:
    """The hubs of both types, and rows that are read when the first client joins."""

    def __init__(self) -> None:
        self.clock, self.now = ManualClock(), NOW
        self.hubs = {
            each: Hub(each, "secret", lambda: self.now, self.clock, self.complete) for each in (PROJECT, DOCUMENT)
        }
        # Conflicts that are to be merged; None if that is not known.
        self.merges: set[str] | None = set()
        self.recent: list[FeedRow] = []
        self.starts = 0
        for hub in self.hubs.values():
            hub.opened(0)

    def start(self) -> None:
        self.starts += 1

    def complete(self, item: StoredItem) -> StoredItem:
        if self.merges is None:
            raise Unavailable
        if item.is_deleted and not item.fields:
            return replace(item, fields={LEFT: [departure(HOME, 2)]})
        return replace(item, conflicts=()) if self.merges.intersection(item.conflicts) else item

    def report(self, *rows: FeedRow, resource_type: ResourceType = DOCUMENT, is_last: bool = True) -> None:
        self.hubs[resource_type].received(FeedPart(rows, rows[-1].sequence, is_last))

    def client(self, *projects: int, **options: Any) -> Client:
        return Client(self, *projects, **options)


class Client:
    """A client that has joined, with a key limited to ``projects`` if there are any."""

    def __init__(self, feeds: Feeds, *projects: int, with_values: bool = False, lag_seconds: float = 0.0) -> None:
        access = Access(1, "p", frozenset(), reach=reach(projects or None, None))
        channels = {each: Channel(hub, feeds.start, lambda: feeds.recent) for each, hub in feeds.hubs.items()}
        self.wakes = 0
        self.subscription = Subscription(channels, View(access), with_values=with_values)
        self.has_joined = self.subscription.join(lag_seconds)
        places = {each.name: Place("identity", 0) for each in feeds.hubs}
        self.checkpoint = Checkpoint(0, "scope", stamp(NOW), places)
        self.subscription.watch(self._wake)

    def _wake(self) -> None:
        self.wakes += 1

    def note_read(self, sequence: int | str) -> None:
        """Note that the client has read the feed of documents up to ``sequence``."""
        place = Place("identity", sequence)
        self.checkpoint = replace(self.checkpoint, places={**self.checkpoint.places, "document": place})
        self.subscription.note_read(self.checkpoint)

    def take(self) -> Portion:
        portion = self.subscription.take(self.checkpoint, render)
        assert portion is not None
        self.checkpoint = portion.checkpoint
        return portion


def render(change: Shown) -> bytes:
    deleted = "-" if change.is_deleted else "!" if change.is_conflicted else ""
    return f"{deleted}{change.resource_type.name[0]}{change.public_id}{(change.value or b'').decode()}".encode()

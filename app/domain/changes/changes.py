"""The changes that a client polls: first the listing of all that it sees, then the feeds, under one checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from app.domain.access import Access
from app.domain.changes.bare_tombstones import BareTombstones
from app.domain.changes.conflict_marks import ConflictMarks
from app.domain.changes.cursor import Checkpoint, Place
from app.domain.changes.first_sync import FirstSync
from app.domain.changes.query import ChangesQuery
from app.domain.changes.reading import Budget, Capacity, Reader, Reading
from app.domain.changes.subscription import Channel, Subscription
from app.domain.changes.visibility import Shown, View, visible
from app.domain.resources import PROJECT, ResourceType, stamp
from app.errors import Forbidden, Gone, Unavailable
from app.store.feed import Feed, FeedState, number
from app.store.items import StoredItem

# A client that was away for longer begins again.
MAX_AGE = timedelta(days=30)
# The nodes of a cluster may lag by this time, so a first sync notes a place that is older (docs/couchdb-quirks.md).
LAG_SECONDS = 5.0

# Returns a place of a database's feed that is at least this number of seconds old, None if none is known yet.
OlderPlace = Callable[[float], object | None]


@dataclass(frozen=True)
class Poll:
    """The changes, projects first, the checkpoint after them, and whether there is nothing more at the moment."""

    changes: tuple[Shown, ...]
    checkpoint: Checkpoint
    is_caught_up: bool

    @property
    def tag(self) -> str:
        """The ETag: a digest of the changes and of ``is_caught_up``."""
        changes = self.changes
        rows = [[*each.key, each.tag, each.is_deleted, each.is_conflicted, each.value is not None] for each in changes]
        return sha256(json.dumps([rows, self.is_caught_up]).encode()).hexdigest()[:32]


class Changes:
    """The changes of one installation. ``secret`` is the key of the tags of removals."""

    def __init__(
        self,
        feeds: Mapping[ResourceType, Feed],
        older_places: Mapping[ResourceType, OlderPlace],
        channels: Mapping[ResourceType, Channel],
        first_sync: FirstSync,
        marks: ConflictMarks,
        tombstones: BareTombstones,
        region: int,
        secret: str,
        now: Callable[[], datetime],
    ) -> None:
        self._feeds, self._older_places, self._marks, self._tombstones = feeds, older_places, marks, tombstones
        self._channels, self._first_sync = channels, first_sync
        self._region, self._secret, self._now = region, secret, now
        self._identities: dict[ResourceType, str | None] = {}
        # How much the copies of the databases may lag, None until a feed was read.
        self.lag_seconds: float | None = None

    def check(self, access: Access, query: ChangesQuery) -> list[ResourceType]:
        """Return the types to read, projects first. Raises Forbidden."""
        types = query.types(access)
        if not types:
            raise Forbidden("This key may read neither documents nor projects.")
        return types

    def subscribe(self, access: Access, query: ChangesQuery, *, with_values: bool) -> Subscription:
        """Return a subscription to the changes that ``query`` asks for; it has not joined yet. Raises as ``check``."""
        channels = {each: self._channels[each] for each in self.check(access, query)}
        return Subscription(channels, View(access, query.project_id), with_values=with_values)

    def join(self, subscription: Subscription) -> bool:
        """Let ``subscription`` report the changes that a poll from now on may not show; return whether it can.

        Raises Unavailable.
        """
        return self.lag_seconds is not None and subscription.join(self.lag_seconds)

    def begin(self, access: Access, query: ChangesQuery) -> Checkpoint:
        """Return the place where ``query`` begins. Raises Gone and Unavailable, and as ``check``."""
        types = self.check(access, query)
        if query.since is None:
            return self._begin(access, types, stamp(self._now()), from_now=query.from_now)
        self._check(query.since, access, types)
        return query.since

    def poll(self, access: Access, query: ChangesQuery) -> Poll:
        """Return the next changes. Raises Gone and Unavailable, and as ``check``."""
        types, view, started_at = self.check(access, query), View(access, query.project_id), stamp(self._now())
        checkpoint = self.begin(access, query)
        if query.since is None and query.from_now:
            return Poll((), checkpoint, is_caught_up=True)
        capacity = Capacity(query.limit)
        listed, checkpoint = self._list(view, types, checkpoint, query, capacity)
        if checkpoint.listing or capacity.is_used_up:
            return Poll(_ordered(listed), checkpoint, is_caught_up=False)
        poll = self._follow(view, types, checkpoint, query, capacity, started_at)
        return replace(poll, changes=_ordered([*listed, *poll.changes]))

    def _begin(self, access: Access, types: Sequence[ResourceType], time: str, *, from_now: bool) -> Checkpoint:
        """Return the checkpoint of a first sync, or of the present."""
        places = {each.name: self._begin_at(each, from_now=from_now) for each in types}
        listing = None if from_now else (types[0].name, 0)
        return Checkpoint(self._region, _scope(access, types), time, places, listing)

    def _begin_at(self, resource_type: ResourceType, *, from_now: bool) -> Place:
        """Return a place so old that every node lists all earlier writes. Raises Unavailable."""
        state = self._state(resource_type)
        if from_now or state.is_exact:
            return Place(state.identity, self._feeds[resource_type].present(state))
        sequence = self._older_places[resource_type](LAG_SECONDS)
        if not isinstance(sequence, int | str):
            # This process has only begun to follow the database.
            raise Unavailable(headers={"Retry-After": str(round(LAG_SECONDS))})
        return Place(state.identity, sequence)

    def _state(self, resource_type: ResourceType) -> FeedState:
        state = self._feeds[resource_type].state()
        self.lag_seconds = 0.0 if state.is_exact else LAG_SECONDS
        self._note_identity(resource_type, state.identity)
        return state

    def check_identities(self) -> None:
        """Let clients that wait read again after an operator has renewed the identity of a feed. Raises Unavailable."""
        for resource_type, feed in self._feeds.items():
            self._note_identity(resource_type, feed.identity())

    def _note_identity(self, resource_type: ResourceType, identity: str | None) -> None:
        if self._identities.get(resource_type, identity) != identity:
            self._channels[resource_type].hub.skipped()
        self._identities[resource_type] = identity

    def _check(self, checkpoint: Checkpoint, access: Access, types: Sequence[ResourceType]) -> None:
        """Raise Gone if a client cannot continue from ``checkpoint`` in any state of the databases."""
        is_same = (checkpoint.region, checkpoint.scope) == (self._region, _scope(access, types))
        if not is_same or checkpoint.time < stamp(self._now() - MAX_AGE):
            raise Gone

    def _list(
        self, view: View, types: Sequence[ResourceType], checkpoint: Checkpoint, query: ChangesQuery, capacity: Capacity
    ) -> tuple[Sequence[Shown], Checkpoint]:
        """Return the items of the first sync, up to ``capacity``, and the checkpoint after them."""
        if not checkpoint.listing:
            return (), checkpoint
        # A client that could not go on with the feeds would list the rest in vain.
        for each in types if query.since else ():
            _check_place(checkpoint.places[each.name], self._state(each))
        listed, listing = self._first_sync.read(
            view, types, checkpoint.listing, capacity, with_values=query.with_values
        )
        return listed, replace(checkpoint, listing=listing)

    def _follow(
        self,
        view: View,
        types: Sequence[ResourceType],
        checkpoint: Checkpoint,
        query: ChangesQuery,
        capacity: Capacity,
        started_at: str,
    ) -> Poll:
        """Return the changes of the feeds, up to ``capacity``.

        Documents are read before the projects that they are in, so that no document comes before its project.
        """
        budget, query = Budget(), replace(query, limit=capacity.changes)
        readings = {each: self._read(each, view, checkpoint, query, budget) for each in reversed(types)}
        changes: list[Shown] = []
        places = dict(checkpoint.places)
        is_caught_up = True
        for resource_type in types:
            reading = readings[resource_type]
            if not is_caught_up or (reading.changes and capacity.is_used_up):
                is_caught_up = False
                break
            reading = reading.cut(capacity)
            changes += (change for change, _ in reading.changes)
            places[resource_type.name] = places[resource_type.name]._replace(sequence=reading.sequence)
            is_caught_up = reading.is_last
        time = started_at if is_caught_up else checkpoint.time
        return Poll(tuple(changes), replace(checkpoint, places=places, time=time), is_caught_up)

    def _read(
        self, resource_type: ResourceType, view: View, checkpoint: Checkpoint, query: ChangesQuery, budget: Budget
    ) -> Reading:
        feed, place = self._feeds[resource_type], checkpoint.places[resource_type.name]
        state = self._state(resource_type)
        _check_place(place, state)
        if state.is_exact and number(place.sequence) == number(state.sequence):
            return Reading((), place.sequence, is_last=True)

        def shows(item: StoredItem) -> Shown | None:
            known_at, with_value, item = checkpoint.time, query.with_values, self._marks.mark(resource_type, item)
            item = item if view.is_unlimited else self._tombstones.complete(resource_type, item)
            return visible(resource_type, item, view, known_at, self._secret, with_value=with_value)

        with_documents = query.with_values or not view.is_unlimited
        reader = Reader(feed, resource_type, shows, with_documents=with_documents)
        return reader.read(place.sequence, query.limit, budget)


def _check_place(place: Place, state: FeedState) -> None:
    """Raise Gone if the database was restored or made again since ``place`` was noted; CouchDB would not report it."""
    is_ahead = state.is_exact and number(place.sequence) > number(state.sequence)
    if is_ahead or place.identity != state.identity:
        raise Gone


def _scope(access: Access, types: Sequence[ResourceType]) -> str:
    """Return a digest of the limits of a key; a client begins again when it changes."""
    reach = access.reach and [sorted(access.reach.projects), sorted(access.reach.documents)]
    return sha256(json.dumps([[each.name for each in types], reach]).encode()).hexdigest()[:32]


def _ordered(changes: Sequence[Shown]) -> tuple[Shown, ...]:
    """Return the latest state of each item, projects first."""
    latest: dict[tuple[str, int], Shown] = {}
    for change in changes:
        latest.pop(change.key, None)
        latest[change.key] = change
    return tuple(sorted(latest.values(), key=lambda change: change.resource_type is not PROJECT))

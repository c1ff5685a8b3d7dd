"""The place of one client that waits for changes, in the hubs of all types that it follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from app.domain.changes.batch import Perspective, Point, Render
from app.domain.changes.cursor import Checkpoint
from app.domain.changes.hub import Hub
from app.domain.changes.visibility import View
from app.domain.changes.watcher import Watcher
from app.domain.resources import ResourceType
from app.store.feed import FeedRow

# The size of a full portion; a single batch may be larger.
PORTION_BYTES = 2**18


@dataclass(frozen=True)
class Channel:
    """The hub of one type.

    ``start`` starts its follower, and ``recent_changes`` reads the last changes from its database.
    """

    hub: Hub
    start: Callable[[], None]
    recent_changes: Callable[[], Iterable[FeedRow]]


class Portion(NamedTuple):
    """Rendered changes, and the checkpoint after them.

    ``earlier`` is a checkpoint before them, if they may show older states than the client has read. A client that
    receives only some of them continues from there, so that it keeps no older state.
    """

    changes: tuple[bytes, ...]
    checkpoint: Checkpoint
    earlier: Checkpoint | None


class Subscription:
    """``join`` before the feeds are read, ``note_read`` after that, then ``watch``, and ``take`` when woken.

    ``channels`` are those of the types that the client follows, projects first.
    """

    def __init__(self, channels: Mapping[ResourceType, Channel], view: View, *, with_values: bool) -> None:
        self._channels, self._perspective = channels, Perspective(view, with_values)
        self._watchers: dict[ResourceType, Watcher] = {}
        self._wake: Callable[[], None] = lambda: None

    def join(self, lag_seconds: float) -> bool:
        """Join the hubs where they were ``lag_seconds`` ago, which is 0 for databases with one copy.

        Returns False if that is not known, since a feed was opened or changes were missed after that. This may read the
        database: it raises Unavailable.
        """
        self.close()
        for channel in self._channels.values():
            channel.start()
        places = {each: self._position(channel, lag_seconds) for each, channel in self._channels.items()}
        self._watchers = {
            each: Watcher(self._perspective, place, self._wake) for each, place in places.items() if place is not None
        }
        if len(self._watchers) < len(self._channels):
            self._watchers = {}
        return bool(self._watchers)

    @staticmethod
    def _position(channel: Channel, lag_seconds: float) -> int | None:
        if not lag_seconds:
            channel.hub.prime(channel.recent_changes)
        return channel.hub.position(lag_seconds)

    def note_read(self, checkpoint: Checkpoint) -> None:
        """Note that the client has read the feeds up to ``checkpoint``."""
        for resource_type, watcher in self._watchers.items():
            watcher.read_up_to = checkpoint.places[resource_type.name].sequence

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, in any thread, whenever there may be something to take."""
        self._wake = wake
        for resource_type, watcher in self._watchers.items():
            watcher.wake = wake
            self._channels[resource_type].hub.add(watcher)

    def close(self) -> None:
        """Stop waking the client."""
        for resource_type, watcher in self._watchers.items():
            self._channels[resource_type].hub.remove(watcher)
        self._watchers = {}

    @property
    def is_behind(self) -> bool:
        """Whether changes are missing, so that the client has to read the feeds again."""
        return not self._watchers or any(
            self._channels[each].hub.next_batches(watcher) is None for each, watcher in self._watchers.items()
        )

    def take(self, checkpoint: Checkpoint, render: Render) -> Portion | None:
        """Return the next changes after ``checkpoint``, projects first; None if some are missing."""
        if not self._watchers:
            return None
        changes, after, earlier = list[bytes](), checkpoint, None
        for resource_type, watcher in self._watchers.items():
            hub = self._channels[resource_type].hub
            batches = hub.next_batches(watcher)
            if batches is None:
                return None
            if watcher.last_skipped:
                after = self._at(after, resource_type, watcher.last_skipped.end)
                watcher.last_skipped = None
            for batch in batches:
                if sum(map(len, changes)) >= PORTION_BYTES:
                    return Portion(tuple(changes), after, earlier)
                rendered = () if watcher.has_read(batch) else batch.rendered(watcher.perspective, render)
                if rendered and watcher.is_ahead_of(batch):
                    earlier = self._at(earlier or checkpoint, resource_type, batch.start)
                watcher.move(batch, is_shown=bool(rendered))
                changes += rendered
                after = self._at(after, resource_type, batch.end)
        return Portion(tuple(changes), after, earlier)

    def _at(self, checkpoint: Checkpoint, resource_type: ResourceType, point: Point) -> Checkpoint:
        """Return ``checkpoint`` at a point of one feed.

        The time is that of the last type: only documents leave a view, and they are the last type if followed.
        """
        *_, last_type = self._channels
        place = checkpoint.places[resource_type.name]._replace(sequence=point.sequence)
        time = point.time if resource_type is last_type else checkpoint.time
        return replace(checkpoint, places={**checkpoint.places, resource_type.name: place}, time=time)

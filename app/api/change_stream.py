"""Writes changes as the events of a stream (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from app.domain.access import Access
from app.domain.changes.changes import Changes
from app.domain.changes.cursor import Checkpoint
from app.domain.changes.query import ChangesQuery
from app.domain.changes.visibility import Shown
from app.errors import Gone
from app.http.waiting import Part, Wake

MEDIA_TYPE = "text/event-stream"
# The approximate size of one read, since it stays in memory until a slow client has read it. The first read has at most
# FIRST_ITEMS items, whose size is not known yet.
PART_BYTES, FIRST_ITEMS = 2**18, 8

WriteCursor = Callable[[Checkpoint], str]


class ChangeStream:
    """The events of one stream: changes that are read until it has caught up, and then those of the subscription."""

    def __init__(self, changes: Changes, access: Access, query: ChangesQuery, write_cursor: WriteCursor) -> None:
        self._changes, self._access, self._query, self._write_cursor = changes, access, query, write_cursor
        self._subscription = changes.subscribe(access, query, with_values=query.with_values)
        self._is_ready, self._items = False, FIRST_ITEMS if query.with_values else query.limit

    @property
    def is_behind(self) -> bool:
        """Whether changes have to be read."""
        return self._subscription.is_behind

    def watch(self, wake: Wake) -> None:
        """Call ``wake``, in any thread, when there may be something to take."""
        self._subscription.watch(wake)

    def close(self) -> None:
        """Stop calling ``wake``."""
        self._subscription.close()

    def read(self) -> Part:
        """Return the events that a poll shows. Raises Unavailable."""
        try:
            return self._read()
        except Gone as error:
            return Part(event("gone", {"error": error.code, "reason": error.reason}), is_end=True)

    def _read(self) -> Part:
        checkpoint = self._changes.begin(self._access, self._query)
        has_joined = self._changes.join(self._subscription)
        poll = self._changes.poll(self._access, replace(self._query, since=checkpoint, limit=self._items))
        self._query = replace(self._query, since=poll.checkpoint)
        events = tuple(map(change_event, poll.changes))
        data = self._numbered(events, poll.checkpoint)
        if data:
            self._items = max(1, min(self._query.limit, PART_BYTES * len(events) // len(data)))
        if not self._is_ready:
            # Without events, send the place after the hidden changes, so that the client does not read them again.
            self._is_ready = True
            data = event("ready", {}, self._write_cursor(checkpoint if events else poll.checkpoint)) + data
        if poll.is_caught_up and has_joined:
            self._subscription.note_read(poll.checkpoint)
        return Part(data, len(events), poll.is_caught_up)

    def take(self) -> Part | None:
        """Return the new events without waiting, perhaps none; None if they have to be read."""
        assert self._query.since is not None
        portion = self._subscription.take(self._query.since, change_event)
        if portion is None:
            return None
        self._query = replace(self._query, since=portion.checkpoint)
        return Part(self._numbered(portion.changes, portion.checkpoint, portion.earlier), len(portion.changes))

    def _numbered(self, events: tuple[bytes, ...], checkpoint: Checkpoint, earlier: Checkpoint | None = None) -> bytes:
        """Return events, the last one with the id of ``checkpoint``, for a client that has received all of them.

        The first one has the id of ``earlier``, if given, for a client that is cut off in between.
        """
        if not events:
            return b""
        *others, last = events
        if earlier and others:
            others[0] = with_id(others[0], self._write_cursor(earlier))
        return b"".join(others) + with_id(last, self._write_cursor(checkpoint))


def change_json(change: Shown) -> bytes:
    """Return a change as JSON; the value is JSON already."""
    members: dict[str, Any] = {"type": change.resource_type.name, "id": change.public_id, "etag": f'"{change.tag}"'}
    if change.is_deleted:
        members["deleted"] = True
    if change.is_conflicted:
        members["conflicted"] = True
    text = json.dumps(members, separators=(",", ":")).encode()
    return text if change.value is None else text[:-1] + b',"value":' + change.value + b"}"


def change_event(change: Shown) -> bytes:
    """Return a change as an event without an id."""
    kind = "deleted" if change.is_deleted else "conflicted" if change.is_conflicted else "changed"
    return b"event: %b.%b\ndata: %b\n\n" % (change.resource_type.name.encode(), kind.encode(), change_json(change))


def event(name: str, data: dict[str, Any], event_id: str | None = None) -> bytes:
    """Return an event about the stream itself. A browser dispatches no event without data."""
    text = f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
    return text if event_id is None else with_id(text, event_id)


def with_id(text: bytes, event_id: str) -> bytes:
    """Return an event with an id."""
    return b"id: %b\n%b" % (event_id.encode(), text)

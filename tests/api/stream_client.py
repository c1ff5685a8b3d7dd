"""A client that reads a stream of a simulated feed, and notes its copy of the items after each event."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache, reduce
from typing import Any, NamedTuple

from app.api.change_stream import ChangeStream, change_json
from app.domain.access import Access
from app.domain.changes.changes import Changes
from app.domain.changes.cursor import Checkpoint
from app.domain.changes.query import ChangesQuery

# The ETags of documents by their ids.
Copy = Mapping[int, str]


class Prefix(NamedTuple):
    """The copy of the client after some events, and the last id among them."""

    copy: Copy
    last_id: str


class StreamClient:
    """A client that begins with an empty copy at the place of ``query``."""

    def __init__(self, changes: Changes, access: Access, query: ChangesQuery) -> None:
        self._changes, self._access, self._query = changes, access, query
        self._checkpoints: dict[str, Checkpoint] = {}
        self._stream = ChangeStream(changes, access, query, self._write_cursor)
        self.copy: Copy = {}
        self.prefixes: list[Prefix] = []
        self._is_woken = False
        self._read()

    def _write_cursor(self, checkpoint: Checkpoint) -> str:
        cursor = str(len(self._checkpoints))
        self._checkpoints[cursor] = checkpoint
        return cursor

    def _wake(self) -> None:
        self._is_woken = True

    def _read(self) -> None:
        """Read until the stream has caught up, and watch it, as the server does."""
        while True:
            part = self._stream.read()
            self._receive(part.data)
            if part.is_caught_up and not self._stream.is_behind:
                break
        self._is_woken = False
        self._stream.watch(self._wake)

    def take(self) -> None:
        """Take all events of the stream if it has woken the client."""
        while self._is_woken:
            part = self._stream.take()
            if part is None:
                self._read()
            else:
                self._is_woken = bool(part.data)
                self._receive(part.data)

    def _receive(self, data: bytes) -> None:
        for event in _events(data):
            if "etag" in event.data:
                self.copy = _with_change(self.copy, event.data)
            last_id = event.event_id or self.prefixes[-1].last_id
            self.prefixes.append(Prefix(self.copy, last_id))

    def continued(self) -> Iterator[Copy]:
        """Yield, for each prefix, the copy of a client that was cut off after it and polls now."""
        # No time passes, so polls with the same id are alike.
        poll = cache(self._poll)
        for prefix in self.prefixes:
            yield reduce(_with_change, poll(prefix.last_id), prefix.copy)

    def _poll(self, last_id: str) -> list[dict[str, Any]]:
        """Return the changes that a poll after ``last_id`` shows, as the data of events."""
        poll = self._changes.poll(self._access, replace(self._query, since=self._checkpoints[last_id]))
        assert poll.is_caught_up
        return [json.loads(change_json(change)) for change in poll.changes]


class _Event(NamedTuple):
    event_id: str | None
    data: dict[str, Any]


def _events(data: bytes) -> Iterator[_Event]:
    for block in data.decode().split("\n\n")[:-1]:
        members = dict(line.split(": ", 1) for line in block.splitlines())
        yield _Event(members.get("id"), json.loads(members["data"]))


def _with_change(copy: Copy, change: Mapping[str, Any]) -> Copy:
    others = {public_id: tag for public_id, tag in copy.items() if public_id != change["id"]}
    return others if change.get("deleted") else {**others, change["id"]: change["etag"]}

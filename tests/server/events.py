"""A client of event streams, which parses them as browsers do."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.client import HTTPConnection, HTTPResponse
from typing import Any, NamedTuple

from tests.server.live import Live
from tests.waiting import MAX_WAIT_SECONDS


class Event(NamedTuple):
    """An event: its name, its data parsed as JSON, and its id, None if it has none of its own."""

    name: str
    data: Any
    id: str | None = None


class EventClient(AbstractContextManager["EventClient"]):
    """A stream of `GET /changes`; ``retry_ms`` is the last time that the service has named."""

    def __init__(
        self, live: Live, key: str | None, query: str = "", address: str = "", path: str = "/changes", **headers: str
    ) -> None:
        self._connection = HTTPConnection(address or live.address, timeout=MAX_WAIT_SECONDS)
        own = {"Accept": "text/event-stream", **({"X-API-Key": key} if key else {})}
        sent = {**own, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self._connection.request("GET", f"{path}?{query}", headers=sent)
        self.response: HTTPResponse = self._connection.getresponse()
        self.retry_ms = 0
        self.last_id: str | None = None
        self._items: dict[tuple[Any, Any], Any] = {}
        self._events = self._parsed()

    def _parsed(self) -> Iterator[Event]:
        fields: dict[str, str] = {}
        for line in self.response:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "retry":
                self.retry_ms = int(value)
            elif name:
                fields[name] = value
            elif "data" in fields:
                self.last_id = fields.get("id", self.last_id)
                yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
                fields = {}

    def next(self, *, with_heartbeats: bool = False) -> Event:
        """Return the next event. Raises EOFError at the end of the stream.

        A change that the client has is ignored: a stream may report it again (docs/changes.md).
        """
        for event in self._events:
            item = event.data.get("type"), event.data.get("id")
            if "." in event.name and self._items.get(item) == event.data:
                continue
            self._items[item] = event.data
            if with_heartbeats or event.name != "heartbeat":
                return event
        raise EOFError

    def until(self, item_id: int) -> Event:
        """Return the next event of this item. The feed may be behind, and report changes of earlier tests first."""
        while (event := self.next()).data.get("id") != item_id:
            pass
        return event

    def rest(self) -> list[Event]:
        """Return all events until the stream ends."""
        return [event for event in self._events if event.name != "heartbeat"]

    @property
    def socket(self) -> socket.socket:
        """The connection."""
        stream = self.response.fp
        assert stream is not None
        raw: Any = stream
        connection: socket.socket = raw.raw._sock
        return connection

    def __exit__(self, *_: object) -> None:
        self.response.close()
        self._connection.close()

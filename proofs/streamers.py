"""Followers that read event streams, with their key or with tickets, and are cut off at random."""

from __future__ import annotations

import json
from contextlib import closing
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from proofs.event_stream import Event, events
from proofs.followers import Follower, LongPoller
from tests.waiting import MAX_WAIT_SECONDS

# The longest silence before a stream is cut, and the most events and ids.
MAX_SILENCE_SECONDS, MAX_EVENTS, MAX_IDS = 15.0, 60, 9


class Streamer(Follower):
    """Read event streams with the key, as a client can that sends headers."""

    feed = "eventsource"
    # An id may be an earlier place than the one before.
    is_atomic = True

    def follow(self) -> None:
        """Read a stream until it is cut. A pass after a 410 is polled, which shows its end."""
        if self.copy.pass_names is not None:
            self.poll({})
            return
        with closing(self.connect()) as response:
            if response.status == 200:
                self.read(response)
            else:
                self.refused(response)

    def connect(self) -> HTTPResponse:
        """Open a stream that goes on after the checkpoint."""
        query = {**self.query, "include": "value", "feed": "eventsource"}
        if self.copy.since is None:
            return self.open(query)
        if self.chance.random() < 0.5:
            return self.open({**query, "since": self.copy.since})
        return self.open(query, {"Last-Event-ID": self.copy.since})

    def read(self, response: HTTPResponse) -> None:
        """Apply events until the stream is cut or ends."""
        events_left, ids_left = self.chance.randint(1, MAX_EVENTS), self.chance.randint(1, MAX_IDS)
        for event in events(response):
            self.answered["events"] += 1
            self.take(event)
            events_left -= 1
            ids_left -= event.id is not None
            # After an event without an id, the copy has changes from after the last id, some perhaps of older states.
            is_enough = events_left == 0 or (ids_left <= 0 and event.id is None)
            if self.stopping.is_set() or (is_enough and not self.is_calm):
                self.answered["cut"] += 1
                return
            # A heartbeat comes at the end alone, if a change has been missed.
            if event.name in ("gone", "heartbeat") or self.copy.items == self.goal:
                return

    def take(self, event: Event) -> None:
        """Apply one event, and move the checkpoint to its id."""
        if event.name == "gone":
            self.answered["gone"] += 1
            self.copy.begin_again()
        elif "." in event.name:
            self.copy.apply(event.json)
        if event.id is not None:
            self.copy.since = event.id

    @property
    def silence(self) -> float:
        """The seconds without a byte after which the client leaves."""
        return MAX_WAIT_SECONDS if self.is_calm else self.chance.uniform(MAX_SILENCE_SECONDS / 6, MAX_SILENCE_SECONDS)


class TicketHolder(Streamer):
    """Read event streams with tickets, as a page with an EventSource does; a ticket serves for some connections."""

    feed = "ticket"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        # The URL with the ticket, and the last id that a stream has sent under it.
        self._url: str | None = None
        self._last_id: str | None = None

    def connect(self) -> HTTPResponse:
        """Open a stream by the ticket, which is new at times; a stream that it has opened before is continued."""
        if self._url is None or self.chance.random() < 0.2:
            response = self._new_ticket()
            if response.status != 201:
                return response
            with closing(response):
                self._url, self._last_id = json.load(response)["url"], None
        return self.send("GET", _path(self._url), {"Last-Event-ID": self._last_id} if self._last_id else {})

    def take(self, event: Event) -> None:
        """Apply one event; its id continues the stream."""
        super().take(event)
        self._last_id = event.id or self._last_id
        if event.name == "gone":
            self._url = None

    def refused(self, response: HTTPResponse) -> None:
        """Forget a ticket that has opened no stream within its minute, or cannot be continued."""
        is_late = response.status == 401 and self._url is not None and not self._last_id
        if is_late or response.status == 410:
            self._url = None
        if is_late:
            self.answered["401"] += 1
        else:
            super().refused(response)

    def _new_ticket(self) -> HTTPResponse:
        since = {} if self.copy.since is None else {"since": self.copy.since}
        filters = {**self.query, **since, "include": "value"}
        return self.send("POST", "/changes/tickets", {"X-API-Key": self.key}, filters)

    def restart(self) -> None:
        """Forget the ticket, too: it continues from no id that came before it."""
        super().restart()
        self._url = None


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


FEEDS: tuple[type[Follower], ...] = (Follower, LongPoller, Streamer, TicketHolder)

"""Clients that follow the changes by polls and long-polls, while their connections are cut and they are killed."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlencode

from proofs.clients import Client
from proofs.copies import Copy, Deviation, Items
from proofs.service import NO_ANSWER
from tests.server.live import Live
from tests.waiting import MAX_WAIT_SECONDS

# The longest pause between two polls, and the longest wait of a long-poll.
PAUSE_SECONDS, LONG_POLL_SECONDS = 1.0, 5
# The most changes per answer.
MAX_CHANGES = 30
# Seconds until a client that was refused tries again.
RETRY_SECONDS = 0.5
# The longest time until a follower without faults has caught up.
MAX_CATCH_UP_SECONDS = 600.0
# States that a follower may be set back to.
SAVED = 5


class Follower(Client):
    """Keep a copy with ``key`` by the changes that the filters of ``query`` admit, from any of ``hosts``."""

    feed = "poll"
    # Whether it stores its checkpoint together with the items.
    is_atomic = False

    def __init__(
        self, name: str, hosts: Sequence[Live], key: str, query: Mapping[str, Any], chance: random.Random
    ) -> None:
        super().__init__(name)
        self.hosts, self.key, self.query, self.chance = hosts, key, dict(query), chance
        self.copy = Copy()
        self._saved = [self.copy.save()]
        self.is_calm = False
        # The items at the end, once they are known.
        self.goal: Items | None = None

    def act(self) -> bool:
        """Follow the changes for a while, and suffer from a fault now and then."""
        try:
            self.follow()
        except NO_ANSWER:
            self.answered["dropped"] += 1
            self.stopping.wait(RETRY_SECONDS)
        self.answered["rounds"] += 1
        self._saved = [*self._saved, self.copy.save()][-SAVED:]
        fate = self.chance.random()
        if fate < 0.1:
            # The later states were never stored, so that no checkpoint of theirs may be used with these items.
            self._saved = self._saved[: self.chance.randint(1, len(self._saved))]
            self.copy = self._saved[-1].save()
            self.restart()
        elif fate < 0.15 and self.copy.pass_names is None and not self.is_atomic:
            # It had stored its items and not yet the checkpoint.
            self.copy.since = self.chance.choice(self._saved).since or self.copy.since
            self.restart()
        return True

    def restart(self) -> None:
        """Forget all that is not stored."""
        self.answered["killed"] += 1

    def follow(self) -> None:
        """Send one poll."""
        self.stopping.wait(0 if self.is_calm else self.chance.uniform(0, PAUSE_SECONDS))
        self.poll({})

    def poll(self, more: Mapping[str, Any]) -> bool:
        """Send a request that is answered with JSON; return whether it has caught up. Raises as http.client does."""
        limit = 1000 if self.is_calm else self.chance.randint(1, MAX_CHANGES)
        query = {**self.query, "include": "value", "limit": limit, **more}
        with closing(self.open({**query, "since": self.copy.since} if self.copy.since else query)) as response:
            if self.is_cut(0.05):
                return False
            if response.status != 200:
                self.refused(response)
                return False
            answer = json.load(response)
        self.answered["answers"] += 1
        self.copy.take(answer)
        return bool(answer["caught_up"])

    def open(self, query: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> HTTPResponse:
        """Send a request with the key; return the response, whose body is not read yet."""
        return self.send("GET", f"/changes?{urlencode(query)}", {"X-API-Key": self.key, **(headers or {})})

    def send(self, method: str, path: str, headers: Mapping[str, str], body: object = None) -> HTTPResponse:
        """Send a request to any host; closing the response closes the connection."""
        connection = self.chance.choice(self.hosts).connect()
        connection.timeout = self.silence
        content = None if body is None else json.dumps(body)
        own = {"Connection": "close", "Content-Type": "application/json"}
        with ExitStack() as failing:
            failing.callback(connection.close)
            connection.request(method, path, content, {**own, **headers})
            response = connection.getresponse()
            failing.pop_all()
        return response

    @property
    def silence(self) -> float:
        """The seconds without a byte after which the client leaves."""
        return MAX_WAIT_SECONDS

    def refused(self, response: HTTPResponse) -> None:
        """Note that there is no answer at the moment, or begin again. Any other answer is a failure."""
        self.answered["gone" if response.status == 410 else str(response.status)] += 1
        if response.status == 410:
            self.copy.begin_again()
            return
        assert response.status == 503, (response.status, response.read())
        self.stopping.wait(RETRY_SECONDS)

    def is_cut(self, share: float) -> bool:
        """Return whether to cut the connection here."""
        is_cut = not self.is_calm and self.chance.random() < share
        self.answered["cut"] += is_cut
        return is_cut

    def finish(self, readable: Items) -> Deviation:
        """Follow without faults for MAX_WAIT_SECONDS or until the copy equals ``readable``, then until it is caught up.

        Return the deviation at the end. On a busy machine, a follower that is far behind takes longer to catch up.
        """
        self.is_calm, self.goal, end = True, readable, time.monotonic() + MAX_WAIT_SECONDS
        self.stopping.clear()
        while self.copy.items != readable and time.monotonic() < end:
            self.follow()
        self.answered["late"] += self.copy.items != readable
        end = time.monotonic() + MAX_CATCH_UP_SECONDS
        while not self.poll({}):
            assert time.monotonic() < end, f"{self.name} does not catch up"
        return Deviation.between(self.copy.items, readable)


class LongPoller(Follower):
    """Let each request wait for a change."""

    feed = "longpoll"

    def follow(self) -> None:
        """Wait for a change, and at times not at all."""
        self.poll({"feed": "longpoll", "timeout": self.chance.randint(1, LONG_POLL_SECONDS)})

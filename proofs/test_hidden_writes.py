"""Writes to items that a limited key does not see wake its clients never, and change none of its pages.

With DREAMSCRIPT_PROOF_HIDDEN_WRITES, as `make prove-changes` has it, this is the proof at full size.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from app.domain.access import SCOPES
from app.local_couchdb.process import poll
from app.services import Services
from proofs.conftest import Installation
from tests.server.clients import waiting_clients
from tests.server.events import EventClient
from tests.server.live import Live
from tests.waiting import MAX_WAIT_SECONDS

# Of a long-poll.
WAIT_SECONDS = 30
# The removal of a document that has left may be repeated for this time, since clocks differ.
MARGIN_SECONDS = 15
# Writes of the proof at full size.
MANY = 1000
WRITES = int(os.environ.get("DREAMSCRIPT_PROOF_HIDDEN_WRITES", "60"))


class Hidden:
    """Documents outside of a project, among them some that have been in it, and random writes to them."""

    def __init__(self, live: Live, key: str, project_id: int) -> None:
        self._live, self._key, self._chance = live, key, random.Random(1)
        self._elsewhere = [self._create("/projects", {"name": str(number)}) for number in range(2)]
        self._documents = [self._create("/documents", {"title": "never in it"}) for _ in range(3)]
        self._moved = [self._create("/documents", {"title": "once in it", "project_id": project_id}) for _ in range(3)]
        for public_id in self._moved:
            self._send("PATCH", f"/documents/{public_id}", {"project_id": self._elsewhere[0]})
        self._moved_at = time.monotonic()

    @property
    def have_left(self) -> bool:
        """Whether no removal of the moved documents may be repeated any more."""
        return time.monotonic() > self._moved_at + MARGIN_SECONDS

    def write(self) -> None:
        """Carry out WRITES writes; documents that have left only just now are spared."""
        for number in range(WRITES):
            documents = [*self._documents, *(self._moved if self.have_left else ())]
            path = f"/documents/{self._chance.choice(documents)}"
            match number % 5:
                case 0:
                    self._documents.append(self._create("/documents", {"title": str(number), **self._home()}))
                case 1:
                    self._send("PATCH", path, {"content": "x" * number})
                case 2:
                    self._send("PUT", path, {"title": str(number), **self._home()})
                case 3:
                    self._send("PATCH", f"/projects/{self._elsewhere[1]}", {"name": str(number)})
                case _:
                    self._send("DELETE", f"/documents/{self._documents.pop(0)}")

    def _home(self) -> dict[str, int]:
        return {"project_id": home} if (home := self._chance.choice([0, *self._elsewhere])) else {}

    def _create(self, path: str, value: object) -> int:
        public_id: int = self._send("POST", path, value)["id"]
        return public_id

    def _send(self, method: str, path: str, value: object = None) -> Any:
        status, body = self._live.request(method, path, self._key, value)
        assert status in (200, 201, 204), (method, path, status, body)
        return body


def pages(live: Live, key: str, query: str) -> list[tuple[bytes, int]]:
    """Return the answers of a first sync: each without its `next`, and the length of that."""
    answers, since = [], ""
    while True:
        with closing(live.connect()) as connection:
            connection.request("GET", f"/changes?{query}{since}", headers={"X-API-Key": key})
            body = connection.getresponse().read()
        cursor = re.search(rb'"next":"([^"]+)"', body)
        assert cursor, body
        answers.append((body.replace(cursor[1], b""), len(cursor[1])))
        if b'"caught_up":true' in body:
            return answers
        since = f"&since={cursor[1].decode()}"


@dataclass(frozen=True)
class Waiter:
    """A client with a limited key that waits by long-poll and by stream; ``seen`` is a document that it sees."""

    live: Live
    key: str
    seen: int

    def poll(self, since: str) -> tuple[float, Any]:
        """Return the seconds that a long-poll has waited, and its answer."""
        began = time.monotonic()
        status, answer = self.live.request(
            "GET", f"/changes?feed=longpoll&timeout={WAIT_SECONDS}&since={since}", self.key
        )
        assert status == 200, answer
        return time.monotonic() - began, answer

    def woken_by(self) -> list[int]:
        """Wait until a long-poll shows changes; return their ids. Fails if one ends early without changes."""
        since = self.live.request("GET", "/changes?since=now", self.key)[1]["next"]
        while True:
            seconds, answer = self.poll(since)
            if answer["changes"]:
                return [change["id"] for change in answer["changes"]]
            assert seconds > WAIT_SECONDS - 1
            since = answer["next"]

    def streamed(self) -> list[int]:
        """Return the ids of the changes of a stream, up to that of the document that the client sees."""
        ids: list[int] = []
        with EventClient(self.live, self.key, "since=now") as client:
            while self.seen not in ids:
                event = client.next()
                ids += [event.data["id"]] if event.name != "ready" else []
        return ids


def test_hidden_writes_change_no_page_and_no_length(
    live: Live, installation: Installation, services: Services, report: Callable[[str], None]
) -> None:
    """Neither the pages of a first sync, nor those that follow, nor the length of a cursor."""
    project_id = live.request("POST", "/projects", installation.key, {"name": "seen"})[1]["id"]
    value = {"title": "seen", "project_id": project_id}
    seen = live.request("POST", "/documents", installation.key, value)[1]["id"]
    hidden = Hidden(live, installation.key, project_id)
    limits: list[dict[str, Any]] = [{"projects": [project_id]}, {"documents": [seen]}]
    keys = [services.keys.create("limited", SCOPES, **each)[1] for each in limits]
    queries = [(key, query) for key in keys for query in ("include=value&limit=1", "limit=1000")]
    queries.append((keys[0], f"include=value&project_id={project_id}"))
    if WRITES >= MANY:
        # Then the documents that have left are written to as well.
        assert poll(lambda: hidden.have_left, 2 * MARGIN_SECONDS)
    before = [pages(live, key, query) for key, query in queries]
    since_now = [live.request("GET", f"/changes?{query}&since=now", key)[1]["next"] for key, query in queries]
    reads = list(zip(queries, since_now, strict=True))
    with ThreadPoolExecutor() as threads:
        waiters = [Waiter(live, key, seen) for key in keys]
        waits = [threads.submit(wait) for waiter in waiters for wait in (waiter.woken_by, waiter.streamed)]
        assert poll(lambda: waiting_clients(live, installation.key) == len(waits), MAX_WAIT_SECONDS)
        try:
            hidden.write()
            woken = [wait.result() for wait in waits if wait.done()]
            after = [pages(live, key, query) for key, query in queries]
            answers = [
                live.request("GET", f"/changes?{query}&since={cursor}", key)[1] for (key, query), cursor in reads
            ]
        finally:
            live.request("PATCH", f"/documents/{seen}", installation.key, {"content": "woken"})
        assert woken == []
        assert after == before
        assert [len(answer["next"]) for answer in answers] == [len(cursor) for _, cursor in reads]
        assert [answer["changes"] for answer in answers] == [[]] * len(answers)
        assert [wait.result() for wait in waits] == [[seen]] * len(waits)
    report(f"{WRITES} hidden writes: no wake-up; {sum(map(len, before))} pages are byte by byte as before")

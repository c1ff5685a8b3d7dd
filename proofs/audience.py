"""Followers with every sort of key and filter, and the comparison of their copies with the items that they may read."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from app.domain.access import SCOPES
from app.local_couchdb.process import poll
from app.local_couchdb.wire import request as ask
from app.services import Services
from proofs.accounts import stored
from proofs.clients import Clients
from proofs.conftest import Installation
from proofs.copies import Deviation, Items
from proofs.editors import World
from proofs.followers import Follower
from proofs.service import DEADLINE_SECONDS, Service
from proofs.streamers import FEEDS
from tests.waiting import MAX_WAIT_SECONDS


@dataclass(frozen=True)
class Reader:
    """The key and the filters of some followers."""

    name: str
    key: str
    query: Mapping[str, Any]

    def readable(self, service: Service) -> Items:
        """Return the items that the key may read and that the filters admit."""
        project_id = self.query.get("project_id")
        projects = {("project", each["id"]): each for each in stored(service, self.key, "projects")}
        documents = {("document", each["id"]): each for each in stored(service, self.key)}
        if project_id is None:
            return projects | documents
        inside = {name: each for name, each in documents.items() if each.get("project_id") == project_id}
        return {name: each for name, each in projects.items() if each["id"] == project_id} | inside


def readers(services: Services, world: World) -> list[Reader]:
    """Return readers without limits, with each sort of limits, and with a filter."""
    projects, documents = world.projects[:2], world.documents[:5]
    limits: dict[str, dict[str, Any]] = {
        "everything": {},
        "projects": {"projects": projects},
        "documents": {"documents": documents},
        "both": {"projects": projects[:1], "documents": documents},
        "hidden": {"projects": projects[1:], "out_of_scope": "hide"},
    }
    made = [Reader(name, services.keys.create(name, SCOPES, **each)[1], {}) for name, each in limits.items()]
    return [*made, Reader("filter", made[0].key, {"project_id": projects[0]})]


class Audience(Clients):
    """Followers at any of ``hosts``: for each reader ``feeds_each`` of ``feeds``, in turn."""

    def __init__(
        self,
        hosts: Sequence[Service],
        installation: Installation,
        readers: Sequence[Reader],
        seed: int,
        feeds_each: int = len(FEEDS),
        feeds: Sequence[type[Follower]] = FEEDS,
    ) -> None:
        self._hosts, self._installation, self._readers = hosts, installation, readers
        turns = cycle(feeds)
        self.followers = {
            (reader.name, feed.feed): self._follower(reader, feed, seed)
            for reader in readers
            for feed in islice(turns, feeds_each)
        }
        super().__init__(list(self.followers.values()))

    def _follower(self, reader: Reader, feed: type[Follower], seed: int) -> Follower:
        name = f"{reader.name}, {feed.feed}"
        return feed(name, self._hosts, reader.key, reader.query, random.Random(f"{seed} {name}"))

    def await_rounds(self, count: int) -> None:
        """Wait until each follower has acted ``count`` times more; a stream takes several seconds each time."""
        goals = {each: each.answered["rounds"] + count for each in self.followers.values()}
        is_reached = poll(
            lambda: all(each.answered["rounds"] >= goal for each, goal in goals.items()), count * MAX_WAIT_SECONDS
        )
        assert is_reached or self.is_over, "followers hang"

    def deviations(self) -> dict[str, Deviation]:
        """Let every follower finish; return the deviations of copies from the items that their keys may read."""
        self._await_quiet()
        expected = {reader.name: reader.readable(self._hosts[0]) for reader in self._readers}
        with ThreadPoolExecutor(len(self.followers)) as threads:
            finishing = {
                follower.name: threads.submit(follower.finish, expected[name])
                for (name, _), follower in self.followers.items()
            }
            return {name: each.result() for name, each in finishing.items() if each.result()}

    def figures(self) -> str:
        """Return the counts by kind of feed, in words."""
        counts: dict[str, Counter[str]] = {}
        for (_, feed), follower in self.followers.items():
            counts.setdefault(feed, Counter()).update(follower.answered)
        return "; ".join(f"{feed}: {words(each)}" for feed, each in counts.items())

    def _await_quiet(self) -> None:
        """Wait until nothing has been written for as long as a request may take."""
        names = [f"/{self._installation.prefix}-{each}" for each in ("documents", "projects")]

        def places() -> list[Any]:
            return [ask(self._installation.url, path=name)[1]["update_seq"] for name in names]

        def is_quiet() -> bool:
            before = places()
            time.sleep(DEADLINE_SECONDS)
            return places() == before

        assert poll(is_quiet, MAX_WAIT_SECONDS), "the database is never quiet"


def words(counts: Mapping[str, int]) -> str:
    """Return counts in words."""
    return ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))

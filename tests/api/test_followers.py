"""Clients that follow the changes end with exactly the items that their keys may read, also after cuts and rewinds.

Several writers create, edit, move and delete at random. Meanwhile clients poll at random moments, start again from
earlier states and cursors, and the feed goes back now and then, as CouchDB permits.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

import pytest

from app.domain.access import SCOPES
from app.services import Services
from app.settings import Settings
from app.store.feed import Feed, FeedPart
from tests.api.conftest import Caller, deployed_settings
from tests.api.follower import Follower, Key

WRITERS, ACTIONS, PROJECTS, DOCUMENTS = 3, 30, 4, 8
# The feed goes back to its start at most this often in a test.
REWINDS = 20


@pytest.fixture(scope="module")
def settings(server_url: str, module_prefix: str) -> Settings:
    return deployed_settings(server_url, module_prefix)


class World:
    """The ids that the writers know, and their random actions. Refusals of a lost race are expected."""

    def __init__(self, ada: Caller) -> None:
        self._ada, self._lock = ada, Lock()
        self.projects = [ada.new_project()["id"] for _ in range(PROJECTS)]
        self.documents = [ada.new_document(project_id=self.projects[0])["id"] for _ in range(DOCUMENTS)]

    def act(self, seed: int) -> None:
        """Carry out ACTIONS random actions."""
        chance = random.Random(seed)
        for number in range(ACTIONS):
            chance.choices((self.create, self.edit, self.move, self.delete, self.batch), (3, 3, 5, 2, 1))[0](
                chance, f"{seed}-{number}"
            )

    def create(self, chance: random.Random, name: str) -> None:
        if chance.random() < 0.2:
            self.projects.append(self._ada.new_project(name)["id"])
        answer = self._ada.post("/documents", {"title": name, **self._somewhere(chance)})
        if answer.status_code == 201:
            self.documents.append(answer.json["id"])

    def edit(self, chance: random.Random, name: str) -> None:
        self._ada.request("PATCH", f"/documents/{chance.choice(self.documents)}", json={"content": name})
        self._ada.request("PATCH", f"/projects/{chance.choice(self.projects)}", json={"name": name})

    def move(self, chance: random.Random, name: str) -> None:
        value = {"title": name, **self._somewhere(chance)}
        self._ada.request("PUT", f"/documents/{chance.choice(self.documents)}", json=value)

    def delete(self, chance: random.Random, _: str) -> None:
        self._ada.request("DELETE", f"/documents/{chance.choice(self.documents)}")
        if self.projects[2:]:
            self._ada.request("DELETE", f"/projects/{chance.choice(self.projects[2:])}")

    def batch(self, chance: random.Random, name: str) -> None:
        value = {"title": name, **self._somewhere(chance)}
        operations: list[dict[str, Any]] = [
            {"op": "replace", "id": chance.choice(self.documents), "value": value} for _ in range(3)
        ]
        self._ada.post("/documents/batch", {"operations": [*operations, {"op": "create", "value": value}]})

    def _somewhere(self, chance: random.Random) -> dict[str, int]:
        return {} if chance.random() < 0.2 else {"project_id": chance.choice(self.projects[: PROJECTS + 1])}


def follow(follower: Follower, seed: int, has_ended: Event) -> None:
    """Poll at random until the writers have ended, then catch up."""
    chance = random.Random(seed)
    saved = [(follower.since, dict(follower.items))]
    while not has_ended.wait(chance.uniform(0, 0.05)):
        answer = follower.poll(f"&limit={chance.randint(1, 15)}")
        assert answer.status_code == 200, answer.text
        saved.append((follower.since, dict(follower.items)))
        fate = chance.random()
        if fate < 0.1:
            # The client was killed, and goes on from its stored state.
            del saved[chance.randint(1, len(saved)) :]
            follower.since, follower.items = saved[-1][0], dict(saved[-1][1])
        elif fate < 0.15:
            # It had stored its items and not yet the cursor.
            follower.since = chance.choice(saved[-3:])[0] or follower.since
    follower.sync(f"&limit={chance.randint(1, 15)}")


def readable(follower: Follower, *paths: str) -> dict[Key, Any]:
    """Return the items that the key of a client reads at these paths."""
    items: dict[Key, Any] = {}
    for path in paths:
        for page in follower.caller.walk(path):
            items |= {("document" if "title" in each else "project", each["id"]): each for each in page}
    return items


@pytest.fixture
def rewinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let some readings of a feed begin at its start, as CouchDB does when it does not know a place."""
    chance, read, places = random.Random(7), Feed.read, iter([0] * REWINDS)

    def read_again(feed: Feed, sequence: int | str, **options: Any) -> FeedPart:
        return read(feed, next(places, sequence) if chance.random() < 0.1 else sequence, **options)

    monkeypatch.setattr(Feed, "read", read_again)


@pytest.mark.usefixtures("rewinds")
@pytest.mark.parametrize("seed", [1, 2])
def test_every_follower_ends_with_the_items_that_its_key_may_read(
    ada: Caller, services: Services, caller: Callable[..., Caller], seed: int
) -> None:
    world, has_ended = World(ada), Event()

    def limited(**limits: Any) -> Caller:
        return Caller(ada.app, services.keys.create("limited", SCOPES, **limits)[1])

    projects, documents = world.projects[:2], world.documents[:3]
    everything = ("/projects", "/documents")
    expected = [
        (Follower(caller()), everything),
        (Follower(limited(projects=projects)), everything),
        (Follower(limited(projects=projects, out_of_scope="hide")), everything),
        (Follower(limited(documents=documents)), everything),
        (Follower(limited(projects=projects[:1], documents=documents)), everything),
        (Follower(caller(), "&type=document"), ("/documents",)),
        (Follower(caller("projects:read")), ("/projects",)),
        (
            Follower(caller(), f"&project_id={projects[0]}"),
            (f"/projects?ids={projects[0]}", f"/projects/{projects[0]}/documents"),
        ),
    ]
    with ThreadPoolExecutor(WRITERS + len(expected)) as threads:
        clients = [threads.submit(follow, each, seed * 100 + n, has_ended) for n, (each, _) in enumerate(expected)]
        writers = [threads.submit(world.act, seed * 10 + number) for number in range(WRITERS)]
        try:
            for writer in writers:
                writer.result()
        finally:
            has_ended.set()
        for client in clients:
            client.result()
    for follower, paths in expected:
        assert follower.items == readable(follower, *paths)

"""Clients that create, edit, move and delete items at random, while others follow the changes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from threading import Lock
from typing import Any

from proofs.clients import Client, Clients
from proofs.service import NO_ANSWER, Reply, Service

EDITORS = 8
# Projects and documents at the beginning, which followers are limited to.
PROJECTS, DOCUMENTS = 4, 8
# Documents that an editor chooses from: the first ones, and those that were created last.
RECENT = 40
# Seconds until an editor goes on after a 503.
RETRY_SECONDS = 0.1
# The passing refusals, and those of a lost race: another editor has deleted or changed the item.
EXPECTED = {200, 201, 204, 400, 404, 409, 412, 503}


class World:
    """The ids of the items that the editors know: the first ones, and the ``recent`` last ones."""

    def __init__(self, service: Service, key: str, recent: int = RECENT) -> None:
        self._recent, self._lock = recent, Lock()
        self._ids: dict[str, list[int]] = {"projects": [], "documents": []}
        for number in range(PROJECTS):
            self.add("projects", service.answer("POST", "/projects", key, {"name": f"project {number}"}))
        for number in range(DOCUMENTS):
            value = {"title": f"document {number}", "project_id": self.projects[number % 2]}
            self.add("documents", service.answer("POST", "/documents", key, value))

    def add(self, kind: str, reply: Reply) -> None:
        """Note an item that was created, if it was."""
        if reply.status == 201:
            with self._lock:
                self._ids[kind].append(reply.json["id"])

    @property
    def projects(self) -> list[int]:
        """The projects that are never deleted, and those that were created last."""
        return self._some("projects", PROJECTS)

    @property
    def documents(self) -> list[int]:
        """The first documents, and those that were created last."""
        return self._some("documents", DOCUMENTS)

    def _some(self, kind: str, first: int) -> list[int]:
        with self._lock:
            ids = self._ids[kind]
            return [*ids[:first], *ids[first:][-self._recent :]]


class Editor(Client):
    """Carry out ``count`` random actions on the items of a world that other editors change as well."""

    def __init__(
        self, name: str, hosts: Sequence[Service], key: str, world: World, count: int, chance: random.Random
    ) -> None:
        super().__init__(name)
        self._hosts, self._key, self._world, self._count, self._chance = hosts, key, world, count, chance

    def act(self) -> bool:
        """Carry out one action; it may fail by a fault, or because another editor was first."""
        action = self._chance.choices(
            (self.create, self.edit, self.edit_project, self.move, self.delete, self.batch), (6, 6, 1, 8, 4, 1)
        )[0]
        refusals = self.answered["503"]
        try:
            action(f"{self.name}, {self._count}")
        except NO_ANSWER:
            self.answered["dropped"] += 1
        if self.answered["503"] > refusals:
            # The database is away, and the action does not count.
            self.stopping.wait(RETRY_SECONDS)
            return True
        self._count -= 1
        self.answered["actions"] += 1
        return self._count > 0

    def create(self, name: str) -> None:
        """Create a document, and at times a project."""
        if self._chance.random() < 0.1:
            self._world.add("projects", self._send("POST", "/projects", {"name": name}))
        self._world.add("documents", self._send("POST", "/documents", {"title": name, **self._home()}))

    def edit(self, name: str) -> None:
        """Change a document."""
        self._send("PATCH", self._document(), {"content": name})

    def edit_project(self, name: str) -> None:
        """Change a project."""
        self._send("PATCH", f"/projects/{self._chance.choice(self._world.projects)}", {"name": name})

    def move(self, name: str) -> None:
        """Replace a document, in another project or in none."""
        self._send("PUT", self._document(), {"title": name, **self._home()})

    def delete(self, _: str) -> None:
        """Delete a document, and at times a project, which must be empty."""
        self._send("DELETE", self._document())
        if self._chance.random() < 0.2 and (others := self._world.projects[PROJECTS:]):
            self._send("DELETE", f"/projects/{self._chance.choice(others)}")

    def batch(self, name: str) -> None:
        """Replace some documents and create one."""
        value = {"title": name, **self._home()}
        replaced = [int(self._document().rpartition("/")[2]) for _ in range(3)]
        operations: list[dict[str, Any]] = [{"op": "replace", "id": each, "value": value} for each in replaced]
        self._send("POST", "/documents/batch", {"operations": [*operations, {"op": "create", "value": value}]})

    def _document(self) -> str:
        return f"/documents/{self._chance.choice(self._world.documents)}"

    def _home(self) -> dict[str, int]:
        return {} if self._chance.random() < 0.2 else {"project_id": self._chance.choice(self._world.projects)}

    def _send(self, method: str, path: str, value: object = None) -> Reply:
        reply = self._chance.choice(self._hosts).ask(method, path, self._key, value)
        assert reply.status in EXPECTED, (method, path, reply)
        self.answered[str(reply.status)] += 1
        return reply


class Editors(Clients):
    """Editors that carry out ``count`` actions together."""

    def __init__(self, hosts: Sequence[Service], key: str, world: World, count: int, seed: int) -> None:
        share, names = -(-count // EDITORS), [f"editor {number}" for number in range(EDITORS)]
        super().__init__([Editor(name, hosts, key, world, share, random.Random(f"{seed} {name}")) for name in names])

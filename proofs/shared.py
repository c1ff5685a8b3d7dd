"""A project that all clients fill and delete, and that is replaced when it is gone."""

from __future__ import annotations

import threading

from proofs.ledger import Item


class SharedProjects:
    """All projects in this role. ``alive`` are those that no client has seen deleted."""

    def __init__(self, first: Item) -> None:
        self._lock = threading.Lock()
        self._current, self._alive = first, {first.public_id: first}
        self._doomed: set[int] = set()

    @property
    def current(self) -> Item:
        """The one to put documents into."""
        with self._lock:
            return self._current

    @property
    def alive(self) -> list[Item]:
        """The projects that must exist at the end."""
        with self._lock:
            return list(self._alive.values())

    def doom(self, project: Item) -> None:
        """Record that a client is about to delete it; from now on it may refuse documents, or be gone."""
        with self._lock:
            self._doomed.add(project.public_id)

    def require_doomed(self, project: Item) -> None:
        """Fail if no client has tried to delete it."""
        with self._lock:
            assert project.public_id in self._doomed, f"{project.path} is not there, and nobody deleted it"

    def bury(self, project: Item) -> bool:
        """Record that it is gone. Returns whether another one is needed."""
        self.require_doomed(project)
        with self._lock:
            self._alive.pop(project.public_id, None)
            return self._current is project

    def follow(self, project: Item) -> None:
        """Use this project from now on."""
        with self._lock:
            self._alive[project.public_id] = self._current = project

"""A project that all clients fill and delete, and that is replaced when it is gone."""

from __future__ import annotations

import threading

from proofs.ledger import Item


class SharedProjects:
    """The projects that have been shared so far. ``alive`` are those that no client has seen deleted."""

    def __init__(self, first: Item) -> None:
        self._lock = threading.Lock()
        self._current, self._alive = first, {first.public_id: first}
        self._being_deleted: set[int] = set()

    @property
    def current(self) -> Item:
        """The project to put documents into."""
        with self._lock:
            return self._current

    @property
    def alive(self) -> list[Item]:
        """The projects that must exist at the end."""
        with self._lock:
            return list(self._alive.values())

    def begin_deletion(self, project: Item) -> None:
        """Record that a client is about to delete a project; from now on it may refuse documents, or be gone."""
        with self._lock:
            self._being_deleted.add(project.public_id)

    def require_deletion_begun(self, project: Item) -> None:
        """Fail if no client has tried to delete a project."""
        with self._lock:
            assert project.public_id in self._being_deleted, f"{project.path} is not there, and nobody deleted it"

    def end_deletion(self, project: Item) -> bool:
        """Record that a project is gone; return whether another one is needed in its place."""
        self.require_deletion_begun(project)
        with self._lock:
            self._alive.pop(project.public_id, None)
            return self._current is project

    def replace(self, project: Item) -> None:
        """Use this project from now on."""
        with self._lock:
            self._alive[project.public_id] = self._current = project

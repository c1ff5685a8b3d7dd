"""A project that anybody puts documents into and anybody deletes, and that is made anew whenever it is gone."""

from __future__ import annotations

import threading

from proofs.ledger import Item


class SharedProjects:
    """All there were of it. ``alive`` are those that nobody has seen gone."""

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
        """Those that must be there once everybody is done."""
        with self._lock:
            return list(self._alive.values())

    def doom(self, project: Item) -> None:
        """Say that somebody is about to delete it; from then on it may refuse documents, or be gone."""
        with self._lock:
            self._doomed.add(project.public_id)

    def require_doomed(self, project: Item) -> None:
        """Fail if nobody ever asked to delete it."""
        with self._lock:
            assert project.public_id in self._doomed, f"{project.path} is not there, and nobody deleted it"

    def bury(self, project: Item) -> bool:
        """Say that it is gone; return whether another is needed."""
        self.require_doomed(project)
        with self._lock:
            self._alive.pop(project.public_id, None)
            return self._current is project

    def follow(self, project: Item) -> None:
        """Say that from now on documents are put into this one."""
        with self._lock:
            self._alive[project.public_id] = self._current = project

"""The preconditions of a request: the rights of its key, and its condition on the revision that it replaces."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import Forbidden, PreconditionFailed, ServiceError
from app.store.items import StoredItem

# Each scope with its meaning, for OpenAPI, --help and the documentation.
SCOPES: dict[str, str] = {
    "documents:read": "read documents",
    "documents:write": "create and change documents",
    "projects:read": "read projects",
    "projects:write": "create and change projects",
    "keys:manage": "create, list, rotate and revoke keys",
    "operate": "see conflicts across principals, and metrics",
}


@dataclass(frozen=True)
class Reach:
    """The limits of a key: the union of some documents and of some projects with their documents."""

    projects: frozenset[int]
    documents: frozenset[int]

    def admits(self, document_id: int, project_id: int | None) -> bool:
        """Return whether a document is inside the limits."""
        return document_id in self.documents or project_id in self.projects


@dataclass(frozen=True)
class Access:
    """The rights of an authenticated key. Cursors and rate limits belong to the principal, which outlives the key.

    Without a ``reach`` the key is not limited. ``hides``: an item outside is answered like a missing one.
    """

    key_id: int
    principal: str
    scopes: frozenset[str]
    expires_at: str | None = None
    reach: Reach | None = None
    hides: bool = False

    def require(self, scope: str) -> None:
        """Raise Forbidden unless the key has ``scope``."""
        if scope not in self.scopes:
            raise Forbidden(f"This key lacks the scope {scope}.")

    def admits(self, document_id: int, project_id: int | None) -> bool:
        """Return whether a document is inside the limits of the key."""
        return self.reach is None or self.reach.admits(document_id, project_id)

    def admits_project(self, project_id: int | None) -> bool:
        """Return whether a project, and so every document in it, is inside the limits of the key."""
        return self.reach is None or project_id in self.reach.projects

    def covers(self, reach: Reach | None) -> bool:
        """Return whether this key includes every item inside ``reach``."""
        if self.reach is None or reach is None:
            return self.reach is None
        return reach.projects <= self.reach.projects and reach.documents <= self.reach.documents

    def refusal(self, absent: ServiceError) -> ServiceError:
        """Return the error for an item outside the limits: Forbidden, or ``absent``, as for a missing one."""
        return absent if self.hides else Forbidden("This item is outside the limits of the key.")


@dataclass(frozen=True)
class Condition:
    """The condition of a write (RFC 9110, sections 13.1.1 and 13.1.2).

    One of ``tags`` must be current, `*` stands for any, and None sets no condition.

    None of ``refused`` may be current; there, too, `*` stands for any.
    """

    tags: frozenset[str] | None = None
    refused: frozenset[str] = frozenset()

    @property
    def is_unconditional(self) -> bool:
        """Whether any revision may be replaced."""
        return self.tags is None or "*" in self.tags

    def check(self, item: StoredItem) -> None:
        """Raise PreconditionFailed, with the current tag, unless ``item`` may be replaced.

        The database compares the revision once more when the next one is stored on top of it.
        """
        is_met = self.is_unconditional or item.revision in (self.tags or ())
        if not is_met or not self.refused.isdisjoint({item.revision, "*"}):
            raise PreconditionFailed(headers={"ETag": f'"{item.revision}"'})


ANY = Condition()

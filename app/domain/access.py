"""Who is asking and what they may do: a key's principal, scopes and reach, checked before anything is looked up."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import Forbidden, ServiceError

# Each scope with what it allows; OpenAPI, --help and the README read these.
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
    """What a limited key is limited to: the union of some documents, and of some projects with their documents."""

    projects: frozenset[int]
    documents: frozenset[int]

    def admits(self, document_id: int, project_id: int | None) -> bool:
        """Tell whether a document is within it."""
        return document_id in self.documents or project_id in self.projects


@dataclass(frozen=True)
class Access:
    """What an authenticated key may do. Cursors and limits belong to the principal, which outlives the key.

    Without a ``reach`` it is not limited. ``hides`` tells whether what is beyond it is denied to exist.
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
        """Tell whether a document is within the key's reach."""
        return self.reach is None or self.reach.admits(document_id, project_id)

    def admits_project(self, project_id: int | None) -> bool:
        """Tell whether a project, and so every document in it, is within the key's reach."""
        return self.reach is None or project_id in self.reach.projects

    def covers(self, reach: Reach | None) -> bool:
        """Tell whether a key of ``reach`` reaches nothing that this one does not."""
        if self.reach is None or reach is None:
            return self.reach is None
        return reach.projects <= self.reach.projects and reach.documents <= self.reach.documents

    def refusal(self, absent: ServiceError) -> ServiceError:
        """Return what to say of something beyond the key's reach: ``absent`` is what is said where there is nothing."""
        return absent if self.hides else Forbidden("This key does not reach that far.")

"""Keys and their rights: principal, scopes and limits, which are checked before any item is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from app.domain.resources import stamp
from app.errors import Forbidden, ServiceError

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

    def require(self, *scopes: str) -> None:
        """Raise Forbidden unless the key has one of ``scopes``."""
        if self.scopes.isdisjoint(scopes):
            raise Forbidden(f"This key lacks the scope {' or '.join(scopes)}.")

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
class Key:
    """A key without its secret: its rights, and the moment of its end.

    All moments are RFC 3339 texts in UTC. ``retired_at`` may be in the future: a rotated key works until then.

    ``last_used_at`` lags by a minute or so, and is None if it was not read.
    """

    id: int
    principal: str
    name: str
    scopes: tuple[str, ...]
    created_at: str
    projects: tuple[int, ...] | None = None
    documents: tuple[int, ...] | None = None
    out_of_scope: str | None = None
    expires_at: str | None = None
    retired_at: str | None = None
    revoked_at: str | None = None
    last_used_at: str | None = None

    @classmethod
    def of(
        cls,
        document: Mapping[str, Any],
        revocation: Mapping[str, Any] | None = None,
        retirement: Mapping[str, Any] | None = None,
    ) -> Key:
        """Build a key from its stored documents."""
        return cls(
            id=document["id"],
            principal=document["principal"],
            name=document["name"],
            scopes=tuple(document["scopes"]),
            created_at=document["created_at"],
            projects=_tuple(document.get("projects")),
            documents=_tuple(document.get("documents")),
            out_of_scope=document.get("out_of_scope"),
            expires_at=document.get("expires_at"),
            retired_at=retirement["at"] if retirement else None,
            revoked_at=revocation["at"] if revocation else None,
        )

    @property
    def ends_at(self) -> str | None:
        """The moment when the key ends, None if it is not set; a revocation takes effect at once."""
        return min(filter(None, (self.expires_at, self.retired_at)), default=None)

    def is_alive(self, now: datetime) -> bool:
        """Return whether the key is valid at ``now``."""
        return self.revoked_at is None and (self.ends_at is None or self.ends_at > stamp(now))

    @property
    def reach(self) -> Reach | None:
        """The limits of the key, None for an unlimited one."""
        return reach(self.projects, self.documents)

    def access(self, out_of_scope: str) -> Access:
        """Return the rights of the key; ``out_of_scope`` is the default for a key without its own."""
        hides = (self.out_of_scope or out_of_scope) == "hide"
        return Access(self.id, self.principal, frozenset(self.scopes), self.expires_at, self.reach, hides)

    @property
    def revision(self) -> str:
        """A digest of the members that can change; the others are written once."""
        changing = f"{self.id} {self.retired_at} {self.revoked_at} {self.last_used_at}"
        return sha256(changing.encode()).hexdigest()[:32]

    @property
    def shown(self) -> dict[str, Any]:
        """The key as a JSON object; a moment that was never set is absent."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def reach(projects: Iterable[int] | None, documents: Iterable[int] | None) -> Reach | None:
    """Return the union of two limits, None if neither is set."""
    if projects is None and documents is None:
        return None
    return Reach(frozenset(projects or ()), frozenset(documents or ()))


def _tuple(ids: Iterable[int] | None) -> tuple[int, ...] | None:
    return None if ids is None else tuple(ids)

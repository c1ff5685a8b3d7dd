"""Who is asking and what they may do: a key's principal and scopes, checked before anything is looked up."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import Forbidden

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
class Access:
    """What an authenticated key may do. Cursors and limits belong to the principal, which outlives the key."""

    key_id: int
    principal: str
    scopes: frozenset[str]
    expires_at: str | None = None

    def require(self, scope: str) -> None:
        """Raise Forbidden unless the key has ``scope``."""
        if scope not in self.scopes:
            raise Forbidden(f"This key lacks the scope {scope}.")

"""The databases of one installation, from an operator's side: create and secure them, and write design documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.couch.connection import Connection, CouchResponse, Refused
from couchapp.tree import DeployError, Document

# A user in `_users` with this role may read and write documents, and nothing else.
MEMBER_ROLE = "dreamscript"
REQUIRED_ROLES = {"admins": "_admin", "members": MEMBER_ROLE}
NEW_SECURITY = {
    "admins": {"names": [], "roles": ["_admin"]},
    "members": {"names": [], "roles": [MEMBER_ROLE, "_admin"]},
}
# An operator can wait longer for a busy server than a reader can.
TIMEOUT_SECONDS = 30.0
DESIGN_RANGE = {"startkey": "_design/", "endkey": "_design0"}


class ConcurrentChange(DeployError):
    """Another deployment changed a design document at the same time; the step can be repeated."""


class Databases:
    """The databases ``<prefix>-<name>``. Every method raises app.couch.connection.DatabaseError."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self.connection, self.prefix = connection, prefix

    def full_name(self, database: str) -> str:
        """Return CouchDB's name of ``database``."""
        return f"{self.prefix}-{database}"

    def request(
        self, method: str, database: str, *path: str, timeout: float = TIMEOUT_SECONDS, **options: Any
    ) -> CouchResponse:
        """Send a request to ``database``; see Connection.request."""
        return self.connection.request(method, self.full_name(database), *path, timeout=timeout, **options)

    def design_documents(self, database: str) -> dict[str, Document] | None:
        """Return the design documents by name; None if the database is missing."""
        try:
            response = self.request("GET", database, "_all_docs", params={**DESIGN_RANGE, "include_docs": True})
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise
        return {row["id"].removeprefix("_design/"): row["doc"] for row in response.body["rows"]}

    def put(self, database: str, document: Document, replacing: Mapping[str, object] | None) -> None:
        """Store a design document in place of ``replacing``, or as a new one. Raises ConcurrentChange."""
        name = document["_id"].removeprefix("_design/")
        revision = {"_rev": replacing["_rev"]} if replacing else {}
        try:
            self.request("PUT", database, "_design", name, body={**document, **revision})
        except Refused as refusal:
            if refusal.status == 409:
                raise ConcurrentChange(f"another deployment changed {database}/_design/{name}") from refusal
            raise

    def remove(self, database: str, document: Document) -> None:
        """Delete the revision of a design document that was read. Raises ConcurrentChange."""
        self.put(database, {"_id": document["_id"], "_deleted": True}, document)

    def missing_security(self, database: str) -> dict[str, Any] | None:
        """Return `_security` with the required roles added, or None if it has them already."""
        security = self.request("GET", database, "_security").body or {}
        missing = {group for group, role in REQUIRED_ROLES.items() if role not in _roles(security.get(group))}
        if not missing:
            return None
        return {**NEW_SECURITY, **security} | {group: _with_roles(group, security.get(group)) for group in missing}

    def create(self, database: str) -> bool:
        """Create the database if it is missing and secure it; return whether anything was done."""
        try:
            self.request("PUT", database)
            is_new = True
        except Refused as refusal:
            if refusal.status != 412:
                raise
            is_new = False
        security = self.missing_security(database)
        if security is not None:
            self.request("PUT", database, "_security", body=security)
        return is_new or security is not None


def _roles(group: Mapping[str, Any] | None) -> list[str]:
    return list((group or {}).get("roles", ()))


def _with_roles(group: str, members: Mapping[str, Any] | None) -> dict[str, Any]:
    roles = dict.fromkeys([*NEW_SECURITY[group]["roles"], *_roles(members)])
    return {"names": [], **(members or {}), "roles": list(roles)}

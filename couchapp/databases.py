"""The databases of one installation as an operator sees them: created, secured, and holding design documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.couch.connection import Connection, CouchResponse, Refused
from couchapp.tree import Document

# Whoever has this role in `_users` may read and write documents, and nothing more.
MEMBER_ROLE = "dreamscript"
REQUIRED_ROLES = {"admins": "_admin", "members": MEMBER_ROLE}
NEW_SECURITY = {
    "admins": {"names": [], "roles": ["_admin"]},
    "members": {"names": [], "roles": [MEMBER_ROLE, "_admin"]},
}
# An operator can wait longer for a busy server than a reader can; in seconds.
TIMEOUT = 30.0
DESIGN_RANGE = {"startkey": "_design/", "endkey": "_design0"}


class Disturbed(Exception):
    """Someone else changed a design document at the same moment; the step can be repeated."""


class Databases:
    """The databases ``<prefix>-<name>``. All of it raises app.couch.connection.DatabaseError."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self.connection, self.prefix = connection, prefix

    def full_name(self, database: str) -> str:
        """Return the name under which CouchDB knows ``database``."""
        return f"{self.prefix}-{database}"

    def request(
        self, method: str, database: str, *path: str, timeout: float = TIMEOUT, **options: Any
    ) -> CouchResponse:
        """Send a request to ``database``; see Connection.request."""
        return self.connection.request(method, self.full_name(database), *path, timeout=timeout, **options)

    def read_all(self, names: Iterable[str]) -> dict[str, dict[str, Document] | None]:
        """Return the design documents of each database by name; None for a database that is missing."""
        return {name: self.design_documents(name) for name in names}

    def design_documents(self, database: str) -> dict[str, Document] | None:
        """Return the design documents by name; None if the database is missing."""
        try:
            answer = self.request("GET", database, "_all_docs", params={**DESIGN_RANGE, "include_docs": True})
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise
        return {row["id"].removeprefix("_design/"): row["doc"] for row in answer.body["rows"]}

    def put(self, database: str, document: Document, replacing: Mapping[str, object] | None) -> None:
        """Store a design document in place of ``replacing``, or as a new one. Raises Disturbed."""
        name = document["_id"].removeprefix("_design/")
        revision = {"_rev": replacing["_rev"]} if replacing else {}
        try:
            self.request("PUT", database, "_design", name, body={**document, **revision})
        except Refused as refusal:
            if refusal.status == 409:
                raise Disturbed(f"{database}/_design/{name} was changed by someone else") from refusal
            raise

    def remove(self, database: str, document: Document) -> None:
        """Delete a design document as it was read. Raises Disturbed."""
        self.put(database, {"_id": document["_id"], "_deleted": True}, document)

    def security(self, database: str) -> dict[str, Any] | None:
        """Return `_security` as it should be if it is not so; None if it is, with whatever else it holds."""
        found = self.request("GET", database, "_security").body or {}
        lacking = {group for group, role in REQUIRED_ROLES.items() if role not in found.get(group, {}).get("roles", ())}
        if not lacking:
            return None
        return {**NEW_SECURITY, **found} | {group: _with_role(group, found.get(group) or {}) for group in lacking}

    def create(self, database: str) -> bool:
        """Create the database and secure it, each unless it is done already; return whether anything was."""
        created = self._create(database)
        security = self.security(database)
        if security is not None:
            self.request("PUT", database, "_security", body=security)
        return created or security is not None

    def _create(self, database: str) -> bool:
        try:
            self.request("PUT", database)
        except Refused as refusal:
            if refusal.status != 412:
                raise
            return False
        return True

    def clean_indexes(self, database: str) -> None:
        """Remove the files of indexes that no design document refers to any more."""
        self.request("POST", database, "_view_cleanup", body={})


def _with_role(group: str, found: Mapping[str, Any]) -> dict[str, Any]:
    roles = [*NEW_SECURITY[group]["roles"], *found.get("roles", ())]
    return {"names": [], **found, "roles": list(dict.fromkeys(roles))}

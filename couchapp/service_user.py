"""Makes and updates the CouchDB user of the serving process, which is no administrator, from the URLs in the settings.

`_users` holds CouchDB's users (its documentation, "Authentication Database").
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from app.couch.connection import Connection, Refused, split_credentials
from couchapp.databases import MEMBER_ROLE
from couchapp.settings import CouchSettings, SettingError

USERS = "_users"


def update_user(connection: Connection, settings: CouchSettings) -> Iterator[str]:
    """Give the user of COUCHDB_URL its password and the role that `_security` names; yield each change.

    ``connection`` is an administrator's. Other roles of the user stay. Raises SettingError, and DatabaseError.
    """
    name, password = _credentials(settings)
    doc_id = f"org.couchdb.user:{name}"
    stored = _find(connection, doc_id)
    if stored is None:
        if _create_users(connection):
            yield f"created {USERS}"
        user = {"name": name, "type": "user", "roles": [MEMBER_ROLE], "password": password}
        connection.put(USERS, doc_id, body=user)
        yield f"created the user {name}"
        return
    changes: dict[str, Any] = {}
    if MEMBER_ROLE not in stored.get("roles", ()):
        changes["roles"] = [*stored.get("roles", ()), MEMBER_ROLE]
        yield f"gave the user {name} the role {MEMBER_ROLE}"
    if not _may_log_in(settings.couchdb_url):
        changes["password"] = password
        yield f"changed the password of the user {name}"
    if changes:
        connection.put(USERS, doc_id, body={**stored, **changes})


def _credentials(settings: CouchSettings) -> tuple[str, str]:
    """Return the name and the password in COUCHDB_URL. Raises SettingError."""
    if not (settings.couchdb_url and settings.couchdb_admin_url):
        raise SettingError("COUCHDB_URL and COUCHDB_ADMIN_URL must both be set")
    bare, own = split_credentials(settings.couchdb_url)
    admin_bare, admin = split_credentials(settings.couchdb_admin_url)
    if bare != admin_bare:
        raise SettingError("COUCHDB_URL and COUCHDB_ADMIN_URL must name the same server")
    if own is None or not all(own):
        raise SettingError("COUCHDB_URL must have a user and a password, as http://user:password@host:port")
    if admin is not None and own[0] == admin[0]:
        raise SettingError(
            "COUCHDB_URL must name another user than COUCHDB_ADMIN_URL, since it is to be no administrator"
        )
    return own


def _find(connection: Connection, doc_id: str) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = connection.get(USERS, doc_id).body
    except Refused as refusal:
        if refusal.status == 404:
            return None
        raise
    return document


def _create_users(connection: Connection) -> bool:
    """Create `_users`, which a server that was never set up as a node or a cluster lacks; return False if it exists."""
    try:
        connection.put(USERS)
    except Refused as refusal:
        if refusal.status == 412:
            return False
        raise
    return True


def _may_log_in(url: str) -> bool:
    """Return whether the server accepts the credentials in ``url``."""
    with closing(Connection(url)) as member:
        try:
            member.get("_session")
        except Refused as refusal:
            if refusal.status == 401:
                return False
            raise
    return True

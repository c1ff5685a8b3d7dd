"""The identity of a database's change feed: a random id in a local document, which replication leaves behind.

A cursor of `GET /changes` is valid for one identity. A database that was made again or restored gets another one, since
CouchDB does not notice that a place in the feed belongs to the database of before (docs/couchdb-quirks.md).
"""

from __future__ import annotations

import secrets

from app.couch.connection import Refused
from couchapp.databases import Databases

# app/store/feed.py reads it.
PATH = ("_local", "feed")


def find(databases: Databases, database: str) -> str | None:
    """Return the identity, None if the database has none. Raises DatabaseError."""
    document = _read(databases, database)
    return None if document is None else document.get("identity")


def create(databases: Databases, database: str) -> bool:
    """Give the database an identity if it has none; return whether it got one. Raises DatabaseError."""
    if find(databases, database) is not None:
        return False
    renew(databases, database)
    return True


def renew(databases: Databases, database: str) -> str:
    """Give the database another identity, and return it. Every cursor ends with 410. Raises DatabaseError.

    If two commands do so at once, one of the two identities is kept.
    """
    identity, document = secrets.token_hex(16), _read(databases, database) or {}
    databases.request("PUT", database, *PATH, body={**document, "identity": identity})
    return identity


def _read(databases: Databases, database: str) -> dict[str, str] | None:
    try:
        document: dict[str, str] = databases.request("GET", database, *PATH).body
    except Refused as refusal:
        if refusal.status == 404:
            return None
        raise
    return document

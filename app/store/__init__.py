"""Speaks to CouchDB, as no other package does: documents, ranges and views in; revisions, rows and failures out."""

from app.store.changes import Follower
from app.store.database import Database, Revision, Row, Winner
from app.store.exchange import DocumentFailure, Outcome
from app.store.group_commit import GroupCommit
from app.store.store import Store

__all__ = [
    "Database",
    "DocumentFailure",
    "Follower",
    "GroupCommit",
    "Outcome",
    "Revision",
    "Row",
    "Store",
    "Winner",
]

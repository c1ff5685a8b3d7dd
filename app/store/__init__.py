"""The only room in app that speaks to CouchDB: documents, ranges and views in; revisions, rows and two failures out."""

from app.store.changes import Follower
from app.store.database import Database, Leaf, Revision, Row, Store
from app.store.exchange import DocumentFailure, Outcome
from app.store.group_commit import GroupCommit

__all__ = [
    "Database",
    "DocumentFailure",
    "Follower",
    "GroupCommit",
    "Leaf",
    "Outcome",
    "Revision",
    "Row",
    "Store",
]

"""The only room in app that speaks to CouchDB: documents, ranges and views in; revisions, rows and two failures out."""

from app.store.database import Database, Revision, Row
from app.store.outcomes import DocumentFailure, Outcome
from app.store.server import Store

__all__ = ["Database", "DocumentFailure", "Outcome", "Revision", "Row", "Store"]

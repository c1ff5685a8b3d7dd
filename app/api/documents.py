"""Documents over HTTP."""

from __future__ import annotations

from app.api.items import Items, Noun
from app.http.blueprint import Blueprint
from app.schemas.documents import DocumentPageQuery, DocumentPatchSchema, DocumentSchema, NewDocumentSchema
from app.wiring import Services

NOUN = Noun("document", "documents", NewDocumentSchema, DocumentPatchSchema, DocumentSchema, DocumentPageQuery)


def blueprint(services: Services) -> Blueprint:
    """Return the operations on documents."""
    routes = Blueprint("documents", "Scripts, notes and assets.", services)
    Items(NOUN, services.documents, services).register(routes)
    return routes

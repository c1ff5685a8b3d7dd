"""Documents over HTTP."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import g, url_for

from app.domain.services import Services
from app.http import paging, tagged
from app.http.blueprint import Blueprint
from app.schemas.documents import DocumentPageQuery, DocumentSchema, NewDocumentSchema


def blueprint(services: Services) -> Blueprint:
    """Return the operations on documents."""
    library = services.library
    pages = paging.Paging(services.cursors, services.settings.page_size, services.settings.max_page_size)
    routes = Blueprint("documents", "Scripts, notes and assets.", services.authenticator)

    @routes.operation(
        "GET",
        "/documents",
        scope="documents:read",
        query=DocumentPageQuery,
        answer=DocumentSchema(many=True),
        headers=paging.HEADERS,
    )
    def list_documents(query: dict[str, Any]) -> Any:
        """List documents by id

        Without `limit`, a page has the service's usual size. The first page comes without `cursor`, the others from
        `x-next`.
        """
        asked = pages.query(query)
        load = partial(library.load_documents, g.access)
        return pages.answer(asked, library.document_page(g.access, asked), load)

    @routes.operation(
        "POST",
        "/documents",
        scope="documents:write",
        body=NewDocumentSchema,
        status=201,
        answer=DocumentSchema(),
        headers=tagged.CREATED_HEADERS,
    )
    def create_document(body: dict[str, Any]) -> Any:
        """Create a document

        Stored by a quorum of the database before the answer is given. With `project_id`, the project must exist.
        """
        created = library.create_document(g.access, body)
        return tagged.created(created, url_for("documents.get_document", document_id=created.public_id, _external=True))

    @routes.operation(
        "GET",
        "/documents/<id:document_id>",
        scope="documents:read",
        answer=DocumentSchema(),
        headers=tagged.HEADERS,
    )
    def get_document(document_id: int) -> Any:
        """Read one document"""
        return tagged.answer(library.get_document(g.access, document_id))

    return routes

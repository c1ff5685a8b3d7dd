"""Documents over HTTP."""

from __future__ import annotations

from typing import Any

from app.api.batches import Batches
from app.domain.access import Access
from app.http import conditional, item_responses, paging
from app.http.answer import Answer
from app.http.blueprint import Blueprint
from app.schemas.batches import BatchSchema, OutcomesSchema
from app.schemas.documents import DocumentPageQuery, DocumentPatchSchema, DocumentSchema, NewDocumentSchema
from app.settings import BATCH_BODY_FACTOR
from app.store.items import WriteId
from app.wiring import Services


def blueprint(services: Services) -> Blueprint:
    """Return the operations on documents."""
    documents, pages = services.documents, paging.Paging.of(services)
    batches = Batches(documents, NewDocumentSchema(), DocumentPatchSchema(), services.settings.max_body_bytes)
    routes = Blueprint("documents", "Scripts, notes and assets.", services)

    @routes.operation(
        "GET",
        "/documents",
        scope="documents:read",
        query=DocumentPageQuery(),
        answer=DocumentSchema(many=True),
        headers=paging.HEADERS,
        databases=("documents",),
    )
    def list_documents(access: Access, query: dict[str, Any]) -> Answer:
        """List documents by id

        Without `limit`, a page has the service's default size. Request the first page without `cursor`, and the others
        from `x-next`.
        """
        listing = pages.query(access, query)
        return pages.answer(access, listing, documents.page(access, listing), documents.load)

    @routes.operation(
        "POST",
        "/documents",
        scope="documents:write",
        body=NewDocumentSchema(),
        status=201,
        answer=DocumentSchema(),
        headers=item_responses.CREATED_HEADERS,
        reserve=lambda **_: documents.reserve(1),
    )
    def create_document(access: Access, body: dict[str, Any], write_id: WriteId) -> Answer:
        """Create a document

        The answer is sent once a quorum of the database has stored it.
        """
        document = documents.create(access, body, write_id)
        return item_responses.created(document, f"documents/{document.public_id}")

    @routes.operation(
        "GET",
        "/documents/<id:document_id>",
        scope="documents:read",
        answer=DocumentSchema(),
        headers=item_responses.HEADERS,
        databases=("documents",),
    )
    def get_document(access: Access, document_id: int) -> Answer:
        """Read one document

        The answer may come from a cache, unless this host wrote the document or learned of another host's write since.
        Send `Cache-Control: no-cache` to read from the database.
        """
        return item_responses.read(documents.read(access, document_id, bypass_cache=conditional.bypass_cache()))

    @routes.operation(
        "PUT",
        "/documents/<id:document_id>",
        scope="documents:write",
        body=NewDocumentSchema(),
        answer=DocumentSchema(),
        headers=item_responses.HEADERS,
        also=(409, 412),
    )
    def replace_document(access: Access, document_id: int, body: dict[str, Any]) -> Answer:
        """Replace a document

        Members that the body does not name are removed. With `If-Match`, only if nobody else has changed it; without,
        the last write wins.
        """
        return item_responses.written(documents.replace(access, document_id, body, conditional.condition()))

    @routes.operation(
        "PATCH",
        "/documents/<id:document_id>",
        scope="documents:write",
        body=DocumentPatchSchema(),
        answer=DocumentSchema(),
        headers=item_responses.HEADERS,
        also=(409, 412),
    )
    def patch_document(access: Access, document_id: int, body: dict[str, Any], write_id: WriteId) -> Answer:
        """Change members of a document

        A merge patch (RFC 7396): members that the body names are set, or removed where they are null. With `If-Match`,
        only if nobody else has changed it; without, the patch is applied to the current state.
        """
        return item_responses.written(documents.patch(access, document_id, body, conditional.condition(), write_id))

    @routes.operation("DELETE", "/documents/<id:document_id>", scope="documents:write", status=204, also=(409, 412))
    def delete_document(access: Access, document_id: int) -> Answer:
        """Delete a document permanently

        Its id is never used again. With `If-Match`, only if nobody else has changed it.
        """
        documents.delete(access, document_id, conditional.condition())
        return item_responses.NO_CONTENT

    @routes.operation(
        "COPY",
        "/documents/<id:document_id>",
        scope="documents:write",
        status=201,
        answer=DocumentSchema(),
        headers=item_responses.CREATED_HEADERS,
        reserve=lambda **_: documents.reserve(1),
    )
    def copy_document(access: Access, document_id: int, write_id: WriteId) -> Answer:
        """Create a copy of a document

        The copy has an id of its own and is otherwise the same.
        """
        document = documents.copy(access, document_id, write_id)
        return item_responses.created(document, f"documents/{document.public_id}")

    @routes.operation(
        "POST",
        "/documents/batch",
        scope="documents:write",
        body=BatchSchema(),
        max_bytes=BATCH_BODY_FACTOR * services.settings.max_body_bytes,
        answer=OutcomesSchema(),
        headers=("Cache-Control",),
        reserve=batches.reserve,
    )
    def batch_documents(access: Access, body: dict[str, Any], write_id: WriteId) -> Answer:
        """Carry out up to 1,000 operations on documents

        Each operation succeeds or fails as if it were alone, and has its own outcome; a batch is not atomic.
        Operations on the same document are carried out in order. A batch with an `Idempotency-Key` is repeated as a
        whole.
        """
        return batches.answer(access, body, write_id)

    return routes

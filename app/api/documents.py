"""Documents over HTTP."""

from __future__ import annotations

from typing import Any

from app.api import batches
from app.domain.access import Access
from app.domain.resources import DOCUMENT
from app.http import answers, arguments, paging
from app.http.answers import Answer
from app.http.operations import Routes
from app.schemas.batches import BatchSchema, OutcomesSchema
from app.schemas.documents import DocumentPageQuery, DocumentPatchSchema, DocumentSchema, NewDocumentSchema
from app.schemas.reservations import NewReservationSchema, ReservationSchema
from app.services import Services
from app.settings import BATCH_BODY_FACTOR
from app.store.items import WriteId

VALUES = {
    "create": NewDocumentSchema(),
    "replace": NewDocumentSchema(),
    "merge": NewDocumentSchema(),
    "patch": DocumentPatchSchema(),
}

routes = Routes("documents", "Scripts, notes and assets.")
blueprint = routes.blueprint


@routes.operation(
    "GET",
    "/documents",
    scope="documents:read",
    query=DocumentPageQuery(),
    answer=DocumentSchema(many=True),
    headers=paging.HEADER_NAMES,
    databases=("documents",),
)
def list_documents(services: Services, access: Access, query: dict[str, Any]) -> Answer:
    """List documents by id

    Without `limit`, a page has the service's default size. Request the first page without `cursor`, and the others
    from `x-next`.
    """
    listing = paging.list_query(services, access, query)
    page = services.documents.page(access, listing)
    return paging.page_answer(services, access, listing, page, services.documents.load)


@routes.operation(
    "POST",
    "/documents",
    scope="documents:write",
    body=NewDocumentSchema(),
    status=201,
    answer=DocumentSchema(),
    headers=answers.CREATED_HEADER_NAMES,
    reserve=lambda services, **_: services.documents.reserve(1),
)
def create_document(services: Services, access: Access, body: dict[str, Any], write_id: WriteId) -> Answer:
    """Create a document

    The answer is sent once a quorum of the database has stored it.
    """
    document = services.documents.create(access, body, write_id)
    return answers.created(DOCUMENT, document, f"documents/{document.public_id}")


@routes.operation(
    "GET",
    "/documents/<id:document_id>",
    scope="documents:read",
    answer=DocumentSchema(),
    headers=answers.ITEM_HEADER_NAMES,
    databases=("documents",),
)
def get_document(services: Services, access: Access, document_id: int) -> Answer:
    """Read one document

    The answer may come from a cache, unless this host wrote the document or learned of another host's write since.
    Send `Cache-Control: no-cache` to read from the database.
    """
    return answers.read(services.documents.read(access, document_id, bypass_cache=arguments.bypass_cache()))


@routes.operation(
    "PUT",
    "/documents/<id:document_id>",
    scope="documents:write",
    body=NewDocumentSchema(),
    answer=DocumentSchema(),
    headers=answers.ITEM_HEADER_NAMES,
    also=(409, 412),
)
def replace_document(services: Services, access: Access, document_id: int, body: dict[str, Any]) -> Answer:
    """Replace a document

    Members that the body does not name are removed. With `If-Match`, only if nobody else has changed it; without,
    the last write wins.
    """
    document = services.documents.replace(access, document_id, body, arguments.condition())
    return answers.written(services.documents.items, document)


@routes.operation(
    "PATCH",
    "/documents/<id:document_id>",
    scope="documents:write",
    body=DocumentPatchSchema(),
    answer=DocumentSchema(),
    headers=answers.ITEM_HEADER_NAMES,
    also=(409, 412),
)
def patch_document(
    services: Services, access: Access, document_id: int, body: dict[str, Any], write_id: WriteId
) -> Answer:
    """Change members of a document

    A merge patch (RFC 7396): members that the body names are set, or removed where they are null. With `If-Match`,
    only if nobody else has changed it; without, the patch is applied to the current state.
    """
    document = services.documents.patch(access, document_id, body, arguments.condition(), write_id)
    return answers.written(services.documents.items, document)


@routes.operation("DELETE", "/documents/<id:document_id>", scope="documents:write", status=204, also=(409, 412))
def delete_document(services: Services, access: Access, document_id: int) -> Answer:
    """Delete a document

    `POST /documents/{document_id}/restore` brings it back while its versions are kept. No other document gets its id.
    With `If-Match`, only if nobody else has changed it.
    """
    services.documents.delete(access, document_id, arguments.condition())
    return answers.NO_CONTENT


@routes.operation(
    "COPY",
    "/documents/<id:document_id>",
    scope="documents:write",
    status=201,
    answer=DocumentSchema(),
    headers=answers.CREATED_HEADER_NAMES,
    also=(412, 413, 415),
    reserve=lambda services, **_: services.documents.reserve(1),
)
def copy_document_by_method(services: Services, access: Access, document_id: int, write_id: WriteId) -> Answer:
    """Create a copy of a document with the method COPY

    The same operation as `POST /documents/{document_id}/copy`, for clients that can send any method.
    """
    return copy_document(services, access, document_id, write_id)


@routes.operation(
    "POST",
    "/documents/<id:document_id>/copy",
    scope="documents:write",
    status=201,
    answer=DocumentSchema(),
    headers=answers.CREATED_HEADER_NAMES,
    also=(412, 413, 415),
    reserve=lambda services, **_: services.documents.reserve(1),
    alias_of="COPY",
)
def copy_document(services: Services, access: Access, document_id: int, write_id: WriteId) -> Answer:
    """Create a copy of a document

    The copy has an id of its own and is otherwise the same. With `If-Match`, only if the document is as the client
    knows it. `COPY /documents/{document_id}` is the same operation, also for a repetition with its `Idempotency-Key`.
    """
    document = services.documents.copy(access, document_id, arguments.condition(), write_id)
    return answers.created(DOCUMENT, document, f"documents/{document.public_id}")


@routes.operation(
    "POST",
    "/documents/batch",
    scope="documents:write",
    body=BatchSchema(),
    body_factor=BATCH_BODY_FACTOR,
    answer=OutcomesSchema(),
    headers=("Cache-Control",),
    reserve=lambda services, body: services.documents.reserve(batches.count_creations(body)),
)
def batch_documents(services: Services, access: Access, body: dict[str, Any], write_id: WriteId) -> Answer:
    """Carry out up to 1,000 operations on documents

    Each operation succeeds or fails as if it were alone, and has its own outcome; a batch is not atomic.
    Operations on the same document are carried out in order. A batch with an `Idempotency-Key` is repeated as a
    whole.
    """
    return batches.answer(services, services.documents, VALUES, access, body, write_id)


@routes.operation(
    "POST",
    "/documents/reservations",
    scope="documents:write",
    body=NewReservationSchema(),
    status=201,
    answer=ReservationSchema(),
    headers=("Cache-Control",),
    reserve=lambda services, body: services.documents.reserve(body["count"]),
)
def reserve_document_ids(services: Services, access: Access, body: dict[str, Any], write_id: WriteId) -> Answer:
    """Reserve ids for new documents

    A client that is offline can create documents under these ids, and send them later in a batch with the
    `reservation`. It is valid for 30 days, for this principal alone.
    """
    return batches.reserve(services, services.documents, access, body, write_id)

"""Conflicts over HTTP: the versions of an item that replication has brought together, and their resolution."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.domain.access import Access
from app.domain.conflicts.conflicts import Resolution
from app.domain.conflicts.description import describe_row, describe_view
from app.domain.conflicts.listing import ConflictRow
from app.domain.resources import DOCUMENT, PROJECT, ResourceType
from app.errors import Fault, ValidationFailed
from app.http import answers, arguments, paging
from app.http.answers import Answer
from app.http.operations import Routes
from app.schemas.conflicts import (
    ConflictQuery,
    ConflictRowSchema,
    ConflictSchema,
    DocumentResolutionSchema,
    ProjectResolutionSchema,
)
from app.schemas.documents import DocumentSchema
from app.schemas.projects import ProjectSchema
from app.services import Services
from app.store.items import WriteId

routes = Routes("conflicts", "Items that were changed in two regions in ways that cannot be merged.")
blueprint = routes.blueprint


@routes.operation(
    "GET",
    "/conflicts",
    scope="documents:read",
    other_scopes=("projects:read", "operate"),
    query=ConflictQuery(),
    answer=ConflictRowSchema(many=True),
    headers=paging.HEADER_NAMES,
)
def list_conflicts(services: Services, access: Access, query: dict[str, Any]) -> Answer:
    """List the items with open conflicts

    Projects come first, and each type in the order of its ids. A key sees the types that it may read, and with the
    scope `operate` all types. A page may be shorter than `limit`: go on until there is no `x-next`.
    """
    listing = paging.list_query(services, access, query)
    page = services.conflicts.list.page(access, listing)
    return paging.page_answer(services, access, listing, page, lambda _, page: page, render=_rows)


@routes.operation(
    "GET",
    "/documents/<id:document_id>/conflicts",
    scope="documents:read",
    answer=ConflictSchema(),
    headers=answers.HEADER_NAMES,
)
def get_document_conflicts(services: Services, access: Access, document_id: int) -> Answer:
    """Show the versions of a document

    Without a conflict there is one. A clash shows for each member whether it was merged, and for a text its hunks,
    which cover all of it.
    """
    return _shown(services, access, DOCUMENT, document_id)


@routes.operation(
    "GET",
    "/projects/<id:project_id>/conflicts",
    scope="projects:read",
    answer=ConflictSchema(),
    headers=answers.HEADER_NAMES,
)
def get_project_conflicts(services: Services, access: Access, project_id: int) -> Answer:
    """Show the versions of a project

    The same as for documents.
    """
    return _shown(services, access, PROJECT, project_id)


@routes.operation(
    "POST",
    "/documents/<id:document_id>/resolve",
    scope="documents:write",
    body=DocumentResolutionSchema(),
    headers=answers.ITEM_HEADER_NAMES,
    answer=DocumentSchema(),
    also=(412,),
)
def resolve_document(
    services: Services, access: Access, document_id: int, body: dict[str, Any], write_id: WriteId
) -> Answer:
    """Resolve the conflict of a document

    Stores one of its versions, or a new one, in place of all those in `supersedes`. If there is any other version by
    now, the answer is 409: look at the versions again.
    """
    return _resolved(services, access, DOCUMENT, document_id, body, write_id)


@routes.operation(
    "POST",
    "/projects/<id:project_id>/resolve",
    scope="projects:write",
    body=ProjectResolutionSchema(),
    headers=answers.ITEM_HEADER_NAMES,
    answer=ProjectSchema(),
    also=(412,),
)
def resolve_project(
    services: Services, access: Access, project_id: int, body: dict[str, Any], write_id: WriteId
) -> Answer:
    """Resolve the conflict of a project

    The same as for documents.
    """
    return _resolved(services, access, PROJECT, project_id, body, write_id)


def _rows(rows: Iterable[ConflictRow]) -> list[dict[str, Any]]:
    return list(map(describe_row, rows))


def _shown(services: Services, access: Access, resource_type: ResourceType, public_id: int) -> Answer:
    view = services.conflicts.show(access, resource_type, public_id)
    return Answer(describe_view(view), headers=answers.tag_headers(view.tag))


def _resolved(
    services: Services,
    access: Access,
    resource_type: ResourceType,
    public_id: int,
    body: dict[str, Any],
    write_id: WriteId,
) -> Answer:
    condition = arguments.condition()
    item = services.conflicts.resolve(access, resource_type, public_id, read_resolution(body), condition, write_id)
    return answers.written(services.documents.items if resource_type is DOCUMENT else services.projects.items, item)


def read_resolution(body: dict[str, Any]) -> Resolution:
    """Return a resolution from its body. Raises ValidationFailed."""
    keep = _tag(body["keep"]) if "keep" in body else None
    supersedes = frozenset().union(*(answers.tags_or_bare(text) for text in body["supersedes"]))
    return Resolution(supersedes | ({keep} if keep else frozenset()), keep, body.get("value"))


def _tag(text: str) -> str:
    """Return the one tag in ``text``. Raises ValidationFailed."""
    tags = answers.tags_or_bare(text)
    if len(tags) != 1:
        raise ValidationFailed(faults=(Fault("body.keep", "Must be one tag."),))
    return next(iter(tags))

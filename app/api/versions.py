"""The versions of documents and projects over HTTP."""

from __future__ import annotations

from typing import Any

from flask import request

from app.domain.access import Access
from app.domain.history.versions import Versions
from app.domain.resources import DOCUMENT, PROJECT
from app.http import answers, arguments, paging
from app.http.answers import Answer, json_line
from app.http.operations import Routes
from app.schemas.documents import DocumentSchema
from app.schemas.projects import ProjectSchema
from app.schemas.versions import DocumentVersionSchema, ProjectVersionSchema, RestoreSchema, VersionsQuery
from app.services import Services
from app.store.items import WriteId

routes = Routes("versions", "The versions that items had, and how to bring one back.")
blueprint = routes.blueprint


@routes.operation(
    "GET",
    "/documents/<id:document_id>/versions",
    scope="documents:read",
    query=VersionsQuery(),
    answer=DocumentVersionSchema(many=True),
    headers=paging.HEADER_NAMES,
)
def list_document_versions(services: Services, access: Access, document_id: int, query: dict[str, Any]) -> Answer:
    """List the versions of a document

    The newest comes first, which is the document as it is now. A deleted document still has its versions, for as long
    as the service keeps them.
    """
    return _page(services, services.versions[DOCUMENT], access, document_id, query)


@routes.operation(
    "GET",
    "/documents/<id:document_id>/versions/<revision:tag>",
    scope="documents:read",
    answer=DocumentVersionSchema(),
    headers=answers.HEADER_NAMES,
)
def get_document_version(services: Services, access: Access, document_id: int, tag: str) -> Answer:
    """Read one version of a document

    `tag` is the `etag` of the version without its quotes.
    """
    return _version(services.versions[DOCUMENT], access, document_id, tag)


@routes.operation(
    "POST",
    "/documents/<id:document_id>/restore",
    scope="documents:write",
    body=RestoreSchema(),
    answer=DocumentSchema(),
    headers=answers.ITEM_HEADER_NAMES,
    also=(409, 412),
)
def restore_document(
    services: Services, access: Access, document_id: int, body: dict[str, Any], write_id: WriteId
) -> Answer:
    """Restore a version of a document

    Its content becomes a new version. A deleted document lives again, as the same document. With `If-Match`, only if
    nobody else has changed it. A version in a project that is gone is refused with 409 `orphan`.
    """
    versions, tag = services.versions[DOCUMENT], arguments.revision(body["version"], "body.version")
    document = versions.restore(access, document_id, tag, arguments.condition(), write_id)
    return answers.written(services.documents.items, document)


@routes.operation("DELETE", "/documents/<id:document_id>/versions", scope="documents:write", status=204, also=(409,))
def forget_document_versions(services: Services, access: Access, document_id: int) -> Answer:
    """Forget a deleted document for good

    All of its versions are removed, in every region, and it can never be restored. A document that exists is refused
    with 409.
    """
    services.versions[DOCUMENT].forget(access, document_id)
    return answers.NO_CONTENT


@routes.operation(
    "GET",
    "/projects/<id:project_id>/versions",
    scope="projects:read",
    query=VersionsQuery(),
    answer=ProjectVersionSchema(many=True),
    headers=paging.HEADER_NAMES,
)
def list_project_versions(services: Services, access: Access, project_id: int, query: dict[str, Any]) -> Answer:
    """List the versions of a project

    The newest comes first, which is the project as it is now.
    """
    return _page(services, services.versions[PROJECT], access, project_id, query)


@routes.operation(
    "GET",
    "/projects/<id:project_id>/versions/<revision:tag>",
    scope="projects:read",
    answer=ProjectVersionSchema(),
    headers=answers.HEADER_NAMES,
)
def get_project_version(services: Services, access: Access, project_id: int, tag: str) -> Answer:
    """Read one version of a project

    `tag` is the `etag` of the version without its quotes.
    """
    return _version(services.versions[PROJECT], access, project_id, tag)


@routes.operation(
    "POST",
    "/projects/<id:project_id>/restore",
    scope="projects:write",
    body=RestoreSchema(),
    answer=ProjectSchema(),
    headers=answers.ITEM_HEADER_NAMES,
    also=(409, 412),
)
def restore_project(
    services: Services, access: Access, project_id: int, body: dict[str, Any], write_id: WriteId
) -> Answer:
    """Restore a version of a project

    Its content becomes a new version. A deleted project lives again, without the documents that it had.
    """
    versions, tag = services.versions[PROJECT], arguments.revision(body["version"], "body.version")
    project = versions.restore(access, project_id, tag, arguments.condition(), write_id)
    return answers.written(services.projects.items, project)


@routes.operation("DELETE", "/projects/<id:project_id>/versions", scope="projects:write", status=204, also=(409,))
def forget_project_versions(services: Services, access: Access, project_id: int) -> Answer:
    """Forget a deleted project for good

    All of its versions are removed, in every region, and it can never be restored.
    """
    services.versions[PROJECT].forget(access, project_id)
    return answers.NO_CONTENT


def _page(services: Services, versions: Versions, access: Access, public_id: int, query: dict[str, Any]) -> Answer:
    limit = min(query.get("limit", services.settings.page_size), services.settings.max_page_size)
    binding = (access.principal, request.path)
    before = services.cursors.read_revision(query["cursor"], *binding) if "cursor" in query else None
    page = versions.page(access, public_id, limit, before)
    links = paging.next_links(services.cursors.write(page.next_revision, *binding)) if page.next_revision else {}
    return Answer(
        json_line(list(map(versions.public, page.versions))), headers={**answers.tag_headers(page.tag), **links}
    )


def _version(versions: Versions, access: Access, public_id: int, tag: str) -> Answer:
    version = versions.get(access, public_id, tag)
    return Answer(json_line(versions.public(version)), headers=answers.tag_headers(version.revision))

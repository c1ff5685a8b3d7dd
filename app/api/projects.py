"""Projects over HTTP, and the documents in them."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import g, url_for

from app.domain.services import Services
from app.http import paging, tagged
from app.http.blueprint import Blueprint
from app.schemas.documents import DocumentSchema
from app.schemas.pages import PageQuery
from app.schemas.projects import NewProjectSchema, ProjectSchema


def blueprint(services: Services) -> Blueprint:
    """Return the operations on projects."""
    library = services.library
    pages = paging.Paging(services.cursors, services.settings.page_size, services.settings.max_page_size)
    routes = Blueprint("projects", "Containers for related documents.", services.authenticator)

    @routes.operation(
        "GET",
        "/projects",
        scope="projects:read",
        query=PageQuery,
        answer=ProjectSchema(many=True),
        headers=paging.HEADERS,
    )
    def list_projects(query: dict[str, Any]) -> Any:
        """List projects by id

        Without `limit`, a page has the service's usual size. The first page comes without `cursor`, the others from
        `x-next`.
        """
        asked = pages.query(query)
        return pages.answer(asked, library.project_page(g.access, asked), library.load_projects)

    @routes.operation(
        "POST",
        "/projects",
        scope="projects:write",
        body=NewProjectSchema,
        status=201,
        answer=ProjectSchema(),
        headers=tagged.CREATED_HEADERS,
    )
    def create_project(body: dict[str, Any]) -> Any:
        """Create a project"""
        created = library.create_project(g.access, body)
        return tagged.created(created, url_for("projects.get_project", project_id=created.public_id, _external=True))

    @routes.operation(
        "GET",
        "/projects/<id:project_id>",
        scope="projects:read",
        answer=ProjectSchema(),
        headers=tagged.HEADERS,
    )
    def get_project(project_id: int) -> Any:
        """Read one project"""
        return tagged.answer(library.get_project(g.access, project_id))

    @routes.operation(
        "GET",
        "/projects/<id:project_id>/documents",
        scope="documents:read",
        query=PageQuery,
        answer=DocumentSchema(many=True),
        headers=paging.HEADERS,
    )
    def list_project_documents(query: dict[str, Any], project_id: int) -> Any:
        """List the documents in a project by id

        The same as `GET /documents?project_id=`, and 404 where there is no such project.
        """
        asked = pages.query(query, project_id=project_id)
        load = partial(library.load_documents, g.access)
        return pages.answer(asked, library.page_in_project(g.access, asked), load)

    return routes

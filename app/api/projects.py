"""Projects over HTTP, and the documents in them."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import g

from app.api.items import Items, Noun
from app.http import paging
from app.http.blueprint import Blueprint
from app.schemas.documents import DocumentSchema
from app.schemas.pages import PageQuery
from app.schemas.projects import NewProjectSchema, ProjectPatchSchema, ProjectSchema
from app.wiring import Services

NOUN = Noun("project", "projects", NewProjectSchema, ProjectPatchSchema, ProjectSchema, PageQuery)


def blueprint(services: Services) -> Blueprint:
    """Return the operations on projects."""
    documents = services.documents
    pages = paging.Paging.of(services)
    routes = Blueprint("projects", "Containers for related documents.", services)
    Items(NOUN, services.projects, services).register(routes)

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
        paging.declare("documents", "projects")
        page, load = documents.page_in_project(g.access, asked), partial(documents.load, g.access)
        return pages.answer(asked, page, load, paging.bodies)

    return routes

"""Projects over HTTP, and the documents in them."""

from __future__ import annotations

from typing import Any

from app.api.batches import Batches
from app.domain.access import Access
from app.http import conditional, item_responses, paging
from app.http.answer import Answer
from app.http.blueprint import Blueprint
from app.schemas.batches import BatchSchema, OutcomesSchema
from app.schemas.documents import DocumentSchema
from app.schemas.pages import PageQuery
from app.schemas.projects import NewProjectSchema, ProjectPatchSchema, ProjectSchema
from app.settings import BATCH_BODY_FACTOR
from app.store.items import WriteId
from app.wiring import Services


def blueprint(services: Services) -> Blueprint:
    """Return the operations on projects."""
    projects, documents, pages = services.projects, services.documents, paging.Paging.of(services)
    batches = Batches(projects, NewProjectSchema(), ProjectPatchSchema(), services.settings.max_body_bytes)
    routes = Blueprint("projects", "Containers for related documents.", services)

    @routes.operation(
        "GET",
        "/projects",
        scope="projects:read",
        query=PageQuery(),
        answer=ProjectSchema(many=True),
        headers=paging.HEADERS,
        databases=("projects",),
    )
    def list_projects(access: Access, query: dict[str, Any]) -> Answer:
        """List projects by id

        Without `limit`, a page has the service's default size. Request the first page without `cursor`, and the others
        from `x-next`.
        """
        listing = pages.query(access, query)
        return pages.answer(access, listing, projects.page(access, listing), projects.load)

    @routes.operation(
        "POST",
        "/projects",
        scope="projects:write",
        body=NewProjectSchema(),
        status=201,
        answer=ProjectSchema(),
        headers=item_responses.CREATED_HEADERS,
        reserve=lambda **_: projects.reserve(1),
    )
    def create_project(access: Access, body: dict[str, Any], write_id: WriteId) -> Answer:
        """Create a project

        The answer is sent once a quorum of the database has stored it.
        """
        project = projects.create(access, body, write_id)
        return item_responses.created(project, f"projects/{project.public_id}")

    @routes.operation(
        "GET",
        "/projects/<id:project_id>",
        scope="projects:read",
        answer=ProjectSchema(),
        headers=item_responses.HEADERS,
        databases=("projects",),
    )
    def get_project(access: Access, project_id: int) -> Answer:
        """Read one project

        The answer may come from a cache, unless this host wrote the project or learned of another host's write since.
        Send `Cache-Control: no-cache` to read from the database.
        """
        return item_responses.read(projects.read(access, project_id, bypass_cache=conditional.bypass_cache()))

    @routes.operation(
        "PUT",
        "/projects/<id:project_id>",
        scope="projects:write",
        body=NewProjectSchema(),
        answer=ProjectSchema(),
        headers=item_responses.HEADERS,
        also=(409, 412),
    )
    def replace_project(access: Access, project_id: int, body: dict[str, Any]) -> Answer:
        """Replace a project

        Members that the body does not name are removed. With `If-Match`, only if nobody else has changed it; without,
        the last write wins.
        """
        return item_responses.written(projects.replace(access, project_id, body, conditional.condition()))

    @routes.operation(
        "PATCH",
        "/projects/<id:project_id>",
        scope="projects:write",
        body=ProjectPatchSchema(),
        answer=ProjectSchema(),
        headers=item_responses.HEADERS,
        also=(409, 412),
    )
    def patch_project(access: Access, project_id: int, body: dict[str, Any], write_id: WriteId) -> Answer:
        """Change members of a project

        A merge patch (RFC 7396): members that the body names are set, or removed where they are null. With `If-Match`,
        only if nobody else has changed it; without, the patch is applied to the current state.
        """
        return item_responses.written(projects.patch(access, project_id, body, conditional.condition(), write_id))

    @routes.operation("DELETE", "/projects/<id:project_id>", scope="projects:write", status=204, also=(409, 412))
    def delete_project(access: Access, project_id: int) -> Answer:
        """Delete an empty project permanently

        Its id is never used again. With `If-Match`, only if nobody else has changed it.
        """
        projects.delete(access, project_id, conditional.condition())
        return item_responses.NO_CONTENT

    @routes.operation(
        "COPY",
        "/projects/<id:project_id>",
        scope="projects:write",
        status=201,
        answer=ProjectSchema(),
        headers=item_responses.CREATED_HEADERS,
        reserve=lambda **_: projects.reserve(1),
    )
    def copy_project(access: Access, project_id: int, write_id: WriteId) -> Answer:
        """Create a copy of a project

        The copy has an id of its own and is otherwise the same.
        """
        project = projects.copy(access, project_id, write_id)
        return item_responses.created(project, f"projects/{project.public_id}")

    @routes.operation(
        "POST",
        "/projects/batch",
        scope="projects:write",
        body=BatchSchema(),
        max_bytes=BATCH_BODY_FACTOR * services.settings.max_body_bytes,
        answer=OutcomesSchema(),
        headers=("Cache-Control",),
        reserve=batches.reserve,
    )
    def batch_projects(access: Access, body: dict[str, Any], write_id: WriteId) -> Answer:
        """Carry out up to 1,000 operations on projects

        Each operation succeeds or fails as if it were alone, and has its own outcome; a batch is not atomic.
        Operations on the same project are carried out in order. A batch with an `Idempotency-Key` is repeated as a
        whole.
        """
        return batches.answer(access, body, write_id)

    @routes.operation(
        "GET",
        "/projects/<id:project_id>/documents",
        scope="documents:read",
        query=PageQuery(),
        answer=DocumentSchema(many=True),
        headers=paging.HEADERS,
        databases=("documents", "projects"),
    )
    def list_project_documents(access: Access, project_id: int, query: dict[str, Any]) -> Answer:
        """List the documents in a project by id

        The same as `GET /documents?project_id=`, and 404 if the project does not exist.
        """
        listing = pages.query(access, query, project_id=project_id)
        return pages.answer(access, listing, documents.page_in_project(access, listing), documents.load)

    return routes

"""Projects over HTTP, and the documents in them."""

from __future__ import annotations

from typing import Any

from app.api import batches
from app.domain.access import Access
from app.domain.resources import PROJECT
from app.http import answers, arguments, paging
from app.http.answers import Answer
from app.http.operations import Routes
from app.schemas.batches import BatchSchema, OutcomesSchema
from app.schemas.documents import DocumentSchema
from app.schemas.pages import PageQuery
from app.schemas.projects import NewProjectSchema, ProjectPatchSchema, ProjectSchema
from app.schemas.reservations import NewReservationSchema, ReservationSchema
from app.services import Services
from app.settings import BATCH_BODY_FACTOR
from app.store.items import WriteId

VALUES = {
    "create": NewProjectSchema(),
    "replace": NewProjectSchema(),
    "merge": NewProjectSchema(),
    "patch": ProjectPatchSchema(),
}

routes = Routes("projects", "Containers for related documents.")
blueprint = routes.blueprint


@routes.operation(
    "GET",
    "/projects",
    scope="projects:read",
    query=PageQuery(),
    answer=ProjectSchema(many=True),
    headers=paging.HEADER_NAMES,
    databases=("projects",),
)
def list_projects(services: Services, access: Access, query: dict[str, Any]) -> Answer:
    """List projects by id

    Without `limit`, a page has the service's default size. Request the first page without `cursor`, and the others
    from `x-next`.
    """
    listing = paging.list_query(services, access, query)
    page = services.projects.page(access, listing)
    return paging.page_answer(services, access, listing, page, services.projects.load)


@routes.operation(
    "POST",
    "/projects",
    scope="projects:write",
    body=NewProjectSchema(),
    status=201,
    answer=ProjectSchema(),
    headers=answers.CREATED_HEADER_NAMES,
    reserve=lambda services, **_: services.projects.reserve(1),
)
def create_project(services: Services, access: Access, body: dict[str, Any], write_id: WriteId) -> Answer:
    """Create a project

    The answer is sent once a quorum of the database has stored it.
    """
    project = services.projects.create(access, body, write_id)
    return answers.created(PROJECT, project, f"projects/{project.public_id}")


@routes.operation(
    "GET",
    "/projects/<id:project_id>",
    scope="projects:read",
    answer=ProjectSchema(),
    headers=answers.ITEM_HEADER_NAMES,
    databases=("projects",),
)
def get_project(services: Services, access: Access, project_id: int) -> Answer:
    """Read one project

    The answer may come from a cache, unless this host wrote the project or learned of another host's write since.
    Send `Cache-Control: no-cache` to read from the database.
    """
    return answers.read(services.projects.read(access, project_id, bypass_cache=arguments.bypass_cache()))


@routes.operation(
    "PUT",
    "/projects/<id:project_id>",
    scope="projects:write",
    body=NewProjectSchema(),
    answer=ProjectSchema(),
    headers=answers.ITEM_HEADER_NAMES,
    also=(409, 412),
)
def replace_project(services: Services, access: Access, project_id: int, body: dict[str, Any]) -> Answer:
    """Replace a project

    Members that the body does not name are removed. With `If-Match`, only if nobody else has changed it; without,
    the last write wins.
    """
    project = services.projects.replace(access, project_id, body, arguments.condition())
    return answers.written(services.projects.items, project)


@routes.operation(
    "PATCH",
    "/projects/<id:project_id>",
    scope="projects:write",
    body=ProjectPatchSchema(),
    answer=ProjectSchema(),
    headers=answers.ITEM_HEADER_NAMES,
    also=(409, 412),
)
def patch_project(
    services: Services, access: Access, project_id: int, body: dict[str, Any], write_id: WriteId
) -> Answer:
    """Change members of a project

    A merge patch (RFC 7396): members that the body names are set, or removed where they are null. With `If-Match`,
    only if nobody else has changed it; without, the patch is applied to the current state.
    """
    project = services.projects.patch(access, project_id, body, arguments.condition(), write_id)
    return answers.written(services.projects.items, project)


@routes.operation("DELETE", "/projects/<id:project_id>", scope="projects:write", status=204, also=(409, 412))
def delete_project(services: Services, access: Access, project_id: int) -> Answer:
    """Delete an empty project

    `POST /projects/{project_id}/restore` brings it back while its versions are kept. No other project gets its id.
    With `If-Match`, only if nobody else has changed it.
    """
    services.projects.delete(access, project_id, arguments.condition())
    return answers.NO_CONTENT


@routes.operation(
    "COPY",
    "/projects/<id:project_id>",
    scope="projects:write",
    status=201,
    answer=ProjectSchema(),
    headers=answers.CREATED_HEADER_NAMES,
    also=(412, 413, 415),
    reserve=lambda services, **_: services.projects.reserve(1),
)
def copy_project_by_method(services: Services, access: Access, project_id: int, write_id: WriteId) -> Answer:
    """Create a copy of a project with the method COPY

    The same operation as `POST /projects/{project_id}/copy`, for clients that can send any method.
    """
    return copy_project(services, access, project_id, write_id)


@routes.operation(
    "POST",
    "/projects/<id:project_id>/copy",
    scope="projects:write",
    status=201,
    answer=ProjectSchema(),
    headers=answers.CREATED_HEADER_NAMES,
    also=(412, 413, 415),
    reserve=lambda services, **_: services.projects.reserve(1),
    alias_of="COPY",
)
def copy_project(services: Services, access: Access, project_id: int, write_id: WriteId) -> Answer:
    """Create a copy of a project

    The copy has an id of its own and is otherwise the same. With `If-Match`, only if the project is as the client
    knows it. `COPY /projects/{project_id}` is the same operation, also for a repetition with its `Idempotency-Key`.
    """
    project = services.projects.copy(access, project_id, arguments.condition(), write_id)
    return answers.created(PROJECT, project, f"projects/{project.public_id}")


@routes.operation(
    "POST",
    "/projects/batch",
    scope="projects:write",
    body=BatchSchema(),
    body_factor=BATCH_BODY_FACTOR,
    answer=OutcomesSchema(),
    headers=("Cache-Control",),
    reserve=lambda services, body: services.projects.reserve(batches.count_creations(body)),
)
def batch_projects(services: Services, access: Access, body: dict[str, Any], write_id: WriteId) -> Answer:
    """Carry out up to 1,000 operations on projects

    Each operation succeeds or fails as if it were alone, and has its own outcome; a batch is not atomic.
    Operations on the same project are carried out in order. A batch with an `Idempotency-Key` is repeated as a
    whole.
    """
    return batches.answer(services, services.projects, VALUES, access, body, write_id)


@routes.operation(
    "POST",
    "/projects/reservations",
    scope="projects:write",
    body=NewReservationSchema(),
    status=201,
    answer=ReservationSchema(),
    headers=("Cache-Control",),
    reserve=lambda services, body: services.projects.reserve(body["count"]),
)
def reserve_project_ids(services: Services, access: Access, body: dict[str, Any], write_id: WriteId) -> Answer:
    """Reserve ids for new projects

    A client that is offline can create projects under these ids, and send them later in a batch with the
    `reservation`. It is valid for 30 days, for this principal alone.
    """
    return batches.reserve(services, services.projects, access, body, write_id)


@routes.operation(
    "GET",
    "/projects/<id:project_id>/documents",
    scope="documents:read",
    query=PageQuery(),
    answer=DocumentSchema(many=True),
    headers=paging.HEADER_NAMES,
    databases=("documents", "projects"),
)
def list_project_documents(services: Services, access: Access, project_id: int, query: dict[str, Any]) -> Answer:
    """List the documents in a project by id

    The same as `GET /documents?project_id=`, and 404 if the project does not exist.
    """
    listing = paging.list_query(services, access, query, project_id=project_id)
    page = services.documents.page_in_project(access, listing)
    return paging.page_answer(services, access, listing, page, services.documents.load)

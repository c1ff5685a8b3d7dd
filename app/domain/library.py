"""Documents and projects together: the rules that need both, and what a limited key reaches of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from app.domain.access import Access, Reach
from app.domain.collection import Collection, Stored
from app.domain.merged_walk import MergedWalk
from app.domain.pages import Listed, Page, Query, cut
from app.errors import Fault, Forbidden, NotFound, ServiceError, ValidationFailed


class Library:
    """The two collections as a key reaches them.

    Whatever names something beyond the key's reach is refused alike whether it exists or not, in words that
    ``access.refusal`` chooses; listings leave it out. Where a limited key names a document by its id alone, one row of
    the index decides, so that no time tells what is there.
    """

    def __init__(self, documents: Collection, projects: Collection, walk: MergedWalk) -> None:
        self._documents, self._projects, self._walk = documents, projects, walk

    def get_document(self, access: Access, document_id: int) -> Stored:
        """Return one document. Raises NotFound and Forbidden."""
        refusal = access.refusal(NotFound(f"There is no document {document_id}."))
        if not self._reaches(access, document_id):
            raise refusal
        found = self._documents.get(document_id)
        # It may have been moved since.
        if not access.admits(document_id, found.fields.get("project_id")):
            raise refusal
        return found

    def create_document(self, access: Access, fields: Mapping[str, Any]) -> Stored:
        """Store a new document. Raises ValidationFailed for a project that does not exist, and Forbidden."""
        self._require_project(access, fields.get("project_id"))
        return self._documents.create(fields)

    def document_page(self, access: Access, query: Query) -> Page:
        """Return a page of documents. Raises Forbidden where ``query`` names a project beyond the key's reach."""
        reach = access.reach
        if reach is None or access.admits_project(query.project_id):
            return self._documents.page(query)
        if query.project_id is not None and not access.hides:
            raise access.refusal(NotFound())
        if query.project_id is None and query.ids is None:
            return cut(self._reached(reach, query), query.limit)
        chosen = query if query.ids is not None else replace(query, ids=tuple(reach.documents))
        rows = (row for row in self._documents.chosen(chosen) if reach.admits(row.public_id, row.project_id))
        return cut(list(islice(rows, query.limit + 1)), query.limit)

    def load_documents(self, access: Access, page: Page) -> Page:
        """Return ``page`` with its documents, less those that left the key's reach since."""
        return self._documents.load(page, lambda item: access.admits(item["id"], item.get("project_id")))

    def get_project(self, access: Access, project_id: int) -> Stored:
        """Return one project. Raises NotFound and Forbidden."""
        if not access.admits_project(project_id):
            raise access.refusal(_no_project(project_id))
        return self._projects.get(project_id)

    def create_project(self, access: Access, fields: Mapping[str, Any]) -> Stored:
        """Store a new project. Raises Forbidden for a limited key, which could not reach it."""
        if access.reach is not None:
            raise Forbidden("This key is limited to what exists, so it makes no projects.")
        return self._projects.create(fields)

    def project_page(self, access: Access, query: Query) -> Page:
        """Return a page of projects."""
        if access.reach is not None:
            ids = access.reach.projects if query.ids is None else access.reach.projects.intersection(query.ids)
            query = replace(query, ids=tuple(ids))
        return self._projects.page(query)

    def load_projects(self, page: Page) -> Page:
        """Return ``page`` with its projects."""
        return self._projects.load(page)

    def page_in_project(self, access: Access, query: Query) -> Page:
        """Return a page of the documents in the project ``query.project_id``. Raises NotFound and Forbidden."""
        assert query.project_id is not None
        self.get_project(access, query.project_id)
        return self._documents.page(query)

    def _reaches(self, access: Access, document_id: int) -> bool:
        """Tell whether a key may name this document; it need not exist if the key names it itself."""
        if access.admits(document_id, None):
            return True
        row = self._documents.last_up_to(document_id)
        return row is not None and row.public_id == document_id and access.admits_project(row.project_id)

    def _require_project(self, access: Access, project_id: int | None) -> None:
        """Raise unless a document can be put into this project, or into none."""
        absent = ValidationFailed(faults=(Fault("body.project_id", f"There is no project {project_id}."),))
        if not access.admits_project(project_id):
            raise access.refusal(absent) if project_id else Forbidden("This key makes documents in its projects only.")
        if project_id is not None and not self._projects.exists(project_id):
            raise absent

    def _reached(self, reach: Reach, query: Query) -> list[Listed]:
        """Return one row more than fits on the page, of all that ``reach`` admits."""
        count, start = query.limit + 1, query.bounds[query.descending]
        found = self._walk.rows(reach.projects, start, count, descending=query.descending) if reach.projects else []
        single: Iterator[Listed] = islice(self._documents.chosen(replace(query, ids=tuple(reach.documents))), count)
        # A document may be both; the row that was read last counts.
        rows = {row.public_id: row for row in (*found, *single)}.values()
        return sorted(rows, key=lambda row: row.public_id, reverse=query.descending)[:count]


def _no_project(project_id: int) -> ServiceError:
    return NotFound(f"There is no project {project_id}.")

"""Documents and projects together: the rules that need both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.collection import Collection, Stored
from app.domain.pages import Page, Query
from app.errors import Fault, NotFound, ValidationFailed


class Library:
    """The two collections, and what one demands of the other."""

    def __init__(self, documents: Collection, projects: Collection) -> None:
        self.documents, self.projects = documents, projects

    def create_document(self, fields: Mapping[str, Any]) -> Stored:
        """Store a new document. Raises ValidationFailed when it names a project that does not exist."""
        project_id = fields.get("project_id")
        if project_id is not None and not self.projects.exists(project_id):
            raise ValidationFailed(faults=(Fault("body.project_id", f"There is no project {project_id}."),))
        return self.documents.create(fields)

    def project_page(self, query: Query) -> Page:
        """Return a page of the documents in the project ``query.project_id``. Raises NotFound without a project."""
        if query.project_id is None or not self.projects.exists(query.project_id):
            raise NotFound(f"There is no project {query.project_id}.")
        return self.documents.page(query)

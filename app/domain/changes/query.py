"""The parameters of a request for changes, and the types that its key may read."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.access import Access
from app.domain.changes.cursor import Checkpoint
from app.domain.resources import DOCUMENT, PROJECT, ResourceType
from app.errors import NotFound

# The types in the order of an answer, and the scopes that show them.
TYPE_SCOPES = {PROJECT: "projects:read", DOCUMENT: "documents:read"}


@dataclass(frozen=True)
class ChangesQuery:
    """At most ``limit`` changes, of ``resource_type`` and in ``project_id`` if they are set.

    They follow ``since``; without it, the first sync begins. ``from_now`` begins at the present instead.
    """

    limit: int
    resource_type: ResourceType | None = None
    project_id: int | None = None
    since: Checkpoint | None = None
    from_now: bool = False
    with_values: bool = False

    def types(self, access: Access) -> list[ResourceType]:
        """Return the types to read, projects first. Raises Forbidden if the key may not read them, or not the project.

        For a key that hides items outside its limits, such a project is empty instead.
        """
        if self.project_id is not None and not access.admits_project(self.project_id) and not access.hides:
            raise access.refusal(NotFound())
        if self.resource_type is not None:
            access.require(TYPE_SCOPES[self.resource_type])
            return [self.resource_type]
        return [each for each, scope in TYPE_SCOPES.items() if scope in access.scopes]

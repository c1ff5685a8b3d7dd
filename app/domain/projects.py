"""Projects as a key reaches them, and how one is deleted while others may put documents into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from app.domain.access import Access
from app.domain.batches.batch import carry_out
from app.domain.batches.operations import Operation, Outcome
from app.domain.clock import stamp
from app.domain.condition import ANY, Condition
from app.domain.items import Compose, Items
from app.domain.listing.pages import ListQuery, Page
from app.domain.merge_patch import merged
from app.domain.rendered import RenderedItem
from app.errors import Conflict, Forbidden, NotFound, PreconditionFailed, ProjectNotEmpty, ServiceError, Unavailable
from app.store.items import StoredItem
from app.store.write_id import WriteId, undoing

# How many projects are read in one request.
AT_ONCE = 100
# Whoever began a deletion so long ago has given it up: no request lives longer.
GIVEN_UP = timedelta(minutes=2)


class Projects:
    """Whatever is beyond the key's reach is refused before it is looked up; listings leave it out."""

    def __init__(self, projects: Items, documents: Items, now: Callable[[], datetime]) -> None:
        self._projects, self._documents, self._now = projects, documents, now

    def get(self, access: Access, project_id: int) -> StoredItem:
        """Return one project. Raises NotFound and Forbidden."""
        _require_reached(access, project_id)
        return self._projects.get(project_id)

    def read(self, access: Access, project_id: int, *, bypass_cache: bool = False) -> RenderedItem:
        """Return what clients get of one project. Raises as ``get`` does."""
        _require_reached(access, project_id)
        return self._projects.read(project_id, bypass_cache=bypass_cache)

    def create(self, access: Access, fields: Mapping[str, Any], attempt: WriteId | None = None) -> StoredItem:
        """Store a new project. Raises Forbidden for a limited key, which could not reach it."""
        self.require_possible(access, None)
        return self._projects.create(fields, attempt)

    def reserve(self, count: int) -> tuple[int, ...]:
        """Return so many ids that nobody else is given."""
        return self._projects.reserve(count)

    def replace(
        self,
        access: Access,
        project_id: int,
        fields: Mapping[str, Any],
        condition: Condition = ANY,
        attempt: WriteId | None = None,
    ) -> StoredItem:
        """Give a project these members and no others. Raises NotFound, Forbidden, PreconditionFailed and Conflict."""
        return self._change(access, project_id, lambda _: fields, condition, attempt)

    def patch(
        self,
        access: Access,
        project_id: int,
        patch: Mapping[str, Any],
        condition: Condition = ANY,
        attempt: WriteId | None = None,
    ) -> StoredItem:
        """Apply a merge patch (RFC 7396): a member that is None is removed. Raises what ``replace`` does."""

        def compose(found: StoredItem) -> Mapping[str, Any]:
            return merged(self._projects.members(found), patch)

        return self._change(access, project_id, compose, condition, attempt)

    def delete(
        self, access: Access, project_id: int, condition: Condition = ANY, attempt: WriteId | None = None
    ) -> None:
        """Delete an empty project for ever. Raises ProjectNotEmpty and what ``replace`` raises.

        First it is marked, from when on it takes no documents; then it is looked whether one came before that.
        """
        _require_reached(access, project_id)
        self._projects.get(project_id)
        self._require_empty(project_id)
        mark = (attempt or WriteId()).part("mark")
        if condition.is_open:
            # Only a condition holds before the mark alone; without one a mark that others overtook is made anew.
            mark = replace(mark, since=None)
        marked = self._mark(project_id, condition, mark)
        try:
            self._require_empty(project_id)
        except ProjectNotEmpty:
            with suppress(PreconditionFailed, NotFound):
                unmark = WriteId(nonce=undoing(mark.nonce))
                self._projects.change(project_id, self._projects.members, marked, unmark)
            raise
        try:
            self._projects.delete(project_id, marked, attempt=attempt)
        except PreconditionFailed as error:
            raise Conflict from error

    def _mark(self, project_id: int, condition: Condition, attempt: WriteId) -> Condition:
        """Say that a project is about to be deleted; return the condition that nobody has changed it since."""

        def compose(found: StoredItem) -> Mapping[str, Any]:
            return {**self._projects.members(found), "deleting_at": stamp(self._now())}

        _, marked = self._projects.change(project_id, compose, condition, attempt)
        return Condition(frozenset({marked.revision}))

    def copy(self, access: Access, project_id: int, attempt: WriteId | None = None) -> StoredItem:
        """Store a copy of a project, without documents. Raises as ``get`` and ``create``."""
        made = self._projects.resumed(attempt)
        return made or self.create(access, self._projects.members(self.get(access, project_id)), attempt)

    def page(self, access: Access, query: ListQuery) -> Page:
        """Return a page of projects."""
        if access.reach is not None:
            ids = access.reach.projects if query.ids is None else access.reach.projects.intersection(query.ids)
            query = replace(query, ids=tuple(ids))
        return self._projects.index.page(query)

    def load(self, access: Access, page: Page) -> Page:
        """Return ``page`` with its projects, less those beyond the key's reach."""
        return self._projects.load(page, lambda item: access.admits_project(item.public_id))

    def require_possible(self, access: Access, found: StoredItem | None, *_: object) -> None:
        """Raise unless the key may make a project, or change one that it reaches."""
        if found is None and access.reach is not None:
            raise Forbidden("This key is limited to what exists, so it makes no projects.")

    def require_still_reached(self, access: Access, found: StoredItem) -> None:
        """A project does not leave a key's reach."""

    def require_arrived(self, *_: object) -> None:
        """A project is where it is."""

    def takes(self, *_: object) -> None:
        """A project is in nothing that could take it."""

    def refusals(self, access: Access, project_ids: Sequence[int]) -> dict[int, ServiceError]:
        """Return what to say of those projects that the key does not reach."""
        return {each: _refusal(access, each) for each in project_ids if not access.admits_project(each)}

    def batch(self, access: Access, operations: Sequence[Operation], attempt: WriteId) -> list[Outcome]:
        """Carry out many operations, as ``carry_out`` does; a deletion looks for documents and goes alone."""
        return carry_out(self, self._projects, access, operations, attempt, alone=("delete",))

    def takes_documents(self, project_id: int) -> bool:
        """Tell whether there is such a project. Raises Conflict if it is being deleted at this moment."""
        return self._takes(project_id, self._projects.find(project_id))

    def seen_together(self, project_ids: Sequence[int]) -> Callable[[int], bool]:
        """Return what ``takes_documents`` is for these projects, which are read together when it is first called."""

        @cache
        def found() -> dict[int, StoredItem] | None:
            marks: dict[int, StoredItem] = {}
            try:
                for start in range(0, len(project_ids), AT_ONCE):
                    # Their descriptions may be large, and do not matter.
                    part = self._projects.find_many(project_ids[start : start + AT_ONCE])
                    marks |= {each: StoredItem(project.revision, _mark(project)) for each, project in part.items()}
            except Unavailable:
                return None
            return marks

        @cache
        def takes(project_id: int) -> bool:
            projects = found()
            if projects is None:
                raise Unavailable
            return self._takes(project_id, projects.get(project_id))

        return takes

    def _takes(self, project_id: int, found: StoredItem | None) -> bool:
        marked_at = found and found.fields.get("deleting_at")
        if not found or not marked_at:
            return found is not None
        if marked_at > stamp(self._now() - GIVEN_UP):
            raise Conflict(f"Project {project_id} is being deleted.")
        # A new revision without the mark also keeps a deletion from happening that was only late.
        try:
            self._projects.change(project_id, self._projects.members, Condition(frozenset({found.revision})))
        except (PreconditionFailed, NotFound):
            # Others were faster: with another document, or with another deletion.
            return self.takes_documents(project_id)
        return True

    def _change(
        self, access: Access, project_id: int, compose: Compose, condition: Condition, attempt: WriteId | None = None
    ) -> StoredItem:
        _require_reached(access, project_id)
        return self._projects.change(project_id, compose, condition, attempt)[1]

    def _require_empty(self, project_id: int) -> None:
        if not self._documents.index.is_empty(project_id):
            raise ProjectNotEmpty


def _mark(project: StoredItem) -> dict[str, Any]:
    return {name: value for name, value in project.fields.items() if name == "deleting_at"}


def _require_reached(access: Access, project_id: int) -> None:
    if not access.admits_project(project_id):
        raise _refusal(access, project_id)


def _refusal(access: Access, project_id: int) -> ServiceError:
    return access.refusal(NotFound(f"There is no project {project_id}."))

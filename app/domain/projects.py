"""Projects, and how one is deleted while others may put documents into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

from app.domain.access import Access
from app.domain.batches.batch import carry_out
from app.domain.batches.operations import Operation, Outcome
from app.domain.item_service import AcceptsDocuments, ItemService
from app.domain.items import Items
from app.domain.listing.pages import ListQuery, Page
from app.domain.resources import RenderedItem, stamp
from app.errors import Conflict, Forbidden, NotFound, PreconditionFailed, ProjectNotEmpty, ServiceError, Unavailable
from app.store.items import ANY, Change, Condition, Fields, StoredItem, WriteId

# Projects that are read in one request.
PROJECTS_PER_READ = 100
# A deletion that was marked longer ago has been given up: no request takes longer.
ABANDONED_AFTER = timedelta(minutes=2)


class Projects(ItemService):
    """A project is in a key's scope by its id alone, so nothing is read to decide that."""

    def __init__(self, projects: Items, documents: Items, now: Callable[[], datetime]) -> None:
        super().__init__(projects)
        self._documents, self._now = documents, now

    def page(self, access: Access, query: ListQuery) -> Page:
        """Return a page of projects."""
        if access.reach is not None:
            ids = access.reach.projects if query.ids is None else access.reach.projects.intersection(query.ids)
            query = replace(query, ids=tuple(ids))
        return self.items.index.page(query)

    def batch(
        self, access: Access, operations: Sequence[Operation], write_id: WriteId, max_value_bytes: int
    ) -> list[Outcome]:
        """Carry out many operations, as ``carry_out`` does; deletions one by one, since each looks for documents."""
        return carry_out(self, access, operations, write_id, max_value_bytes, alone=("delete",))

    def delete(
        self, access: Access, public_id: int, condition: Condition = ANY, write_id: WriteId | None = None
    ) -> None:
        """Delete an empty project. Raises ProjectNotEmpty and what ``replace`` raises.

        It is marked first, so that it accepts no documents from then on. Then a second look finds those that came
        before the mark.
        """
        self.check_in_scope(access, public_id)
        self.check_replaceable(access, self.items.get(public_id), condition)
        self._check_empty(public_id)
        mark = (write_id or WriteId()).part("mark")
        if condition.is_unconditional:
            # Others may have changed the project since an earlier run marked it. Only a condition is older than that.
            mark = mark.as_new()
        change = self._mark(access, public_id, condition, mark)
        former, is_marked = change.before or change.after, Condition(frozenset({change.after.revision}))
        try:
            self._check_empty(public_id)
        except ProjectNotEmpty:
            with suppress(PreconditionFailed, NotFound):
                self.items.update(public_id, lambda _: self.items.state(former), None, is_marked, mark.compensation)
            raise
        try:
            self.items.delete(public_id, access.principal, is_marked, write_id=write_id)
        except PreconditionFailed as error:
            raise Conflict from error

    def _mark(self, access: Access, project_id: int, condition: Condition, write_id: WriteId) -> Change:
        """Mark a project as being deleted, so that it accepts no documents."""

        def compose(item: StoredItem) -> Fields:
            return {**self.items.members(item), "deleting_at": stamp(self._now())}

        return self.items.update(project_id, compose, access.principal, condition, write_id)

    def _check_empty(self, project_id: int) -> None:
        if not self._documents.index.is_empty(project_id):
            raise ProjectNotEmpty

    def check_in_scope(self, access: Access, public_id: int) -> None:
        """Raise unless a key may name this project."""
        if not access.admits_project(public_id):
            raise self.refusal(access, public_id)

    def refusals(self, access: Access, public_ids: Sequence[int]) -> dict[int, ServiceError]:
        """Return the errors for the projects out of scope, by id."""
        return {each: self.refusal(access, each) for each in public_ids if not access.admits_project(each)}

    def admits(self, access: Access, item: StoredItem | RenderedItem) -> bool:
        """Return whether a project is in the key's scope."""
        return access.admits_project(item.public_id)

    def check_allowed(self, access: Access, item: StoredItem | None, *_: object) -> None:
        """Raise for a new project of a limited key, which would be out of its scope."""
        if item is None:
            self.check_may_create(access)

    def check_may_create(self, access: Access) -> None:
        """Raise for a limited key."""
        if access.reach is not None:
            raise Forbidden("This key is limited to existing items, so it cannot create projects.")

    def accepts_documents(self, project_id: int) -> bool:
        """Return whether there is such a project. Raises Conflict while it is being deleted."""
        return self._accepts(project_id, self.items.find(project_id))

    def preload(self, project_ids: Sequence[int]) -> AcceptsDocuments:
        """Return ``accepts_documents`` for these projects, which are read together when it is first called."""

        @cache
        def projects() -> dict[int, StoredItem] | None:
            marks: dict[int, StoredItem] = {}
            try:
                for start in range(0, len(project_ids), PROJECTS_PER_READ):
                    part = self.items.find_many(project_ids[start : start + PROJECTS_PER_READ])
                    marks |= {public_id: _without_description(project) for public_id, project in part.items()}
            except Unavailable:
                return None
            return marks

        @cache
        def accepts(project_id: int) -> bool:
            known = projects()
            if known is None:
                raise Unavailable
            return self._accepts(project_id, known.get(project_id))

        return accepts

    def _accepts(self, project_id: int, project: StoredItem | None) -> bool:
        marked_at = project and project.fields.get("deleting_at")
        if not project or not marked_at:
            return project is not None
        if marked_at > stamp(self._now() - ABANDONED_AFTER):
            raise Conflict(f"Project {project_id} is being deleted.")
        # A new revision without the mark also stops a deletion that was only late.
        try:
            self.items.update(project_id, self.items.state, None, Condition(frozenset({project.revision})))
        except (PreconditionFailed, NotFound):
            # Others came first, with another document or another deletion.
            return self.accepts_documents(project_id)
        return True


def _without_description(project: StoredItem) -> StoredItem:
    """Return a project without its description, which may be large."""
    return replace(project, fields={name: it for name, it in project.fields.items() if name != "description"})

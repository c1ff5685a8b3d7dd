"""Documents, the projects that they may be put into, and how a write is undone if the project is gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice

from app.domain.access import Access, Reach
from app.domain.batches.batch import carry_out
from app.domain.batches.operations import Operation, Outcome
from app.domain.item_service import AcceptsDocuments, ItemService
from app.domain.items import Items
from app.domain.listing.merged_walk import MergedWalk
from app.domain.listing.pages import IndexRow, ListQuery, Page, cut
from app.domain.projects import Projects
from app.domain.resources import RenderedItem
from app.errors import Conflict, Fault, Forbidden, NotFound, ServiceError, ValidationFailed
from app.store.confirmed_writes import after_a_write
from app.store.items import Change, Fields, StoredItem, WriteId


class Documents(ItemService):
    """The operations on documents.

    Before it reads a document for a limited key, the service reads one index row to find its project. It reads that
    row also if the document does not exist, so timing reveals nothing.
    """

    def __init__(self, documents: Items, projects: Projects, walk: MergedWalk) -> None:
        super().__init__(documents)
        self._projects, self._walk = projects, walk

    def page(self, access: Access, query: ListQuery) -> Page:
        """Return a page of documents. Raises Forbidden where ``query`` names a project beyond the key's reach."""
        reach = access.reach
        if reach is None or access.admits_project(query.project_id):
            return self.items.index.page(query)
        if query.project_id is not None and not access.hides:
            raise access.refusal(NotFound())
        if query.project_id is None and query.ids is None:
            return cut(self._reached(reach, query), query)
        id_query = query if query.ids is not None else replace(query, ids=tuple(reach.documents))
        rows = (row for row in self.items.index.rows_by_id(id_query) if reach.admits(row.public_id, row.project_id))
        return cut(list(islice(rows, query.limit + 1)), query)

    def page_in_project(self, access: Access, query: ListQuery) -> Page:
        """Return a page of the documents in the project ``query.project_id``. Raises NotFound and Forbidden."""
        assert query.project_id is not None
        self._projects.get(access, query.project_id)
        return self.items.index.page(query)

    def _reached(self, reach: Reach, query: ListQuery) -> list[IndexRow]:
        """Return one row more than fits on the page, of all that ``reach`` admits."""
        count, start = query.limit + 1, query.bounds[query.descending]
        rows_in_projects = (
            self._walk.rows(reach.projects, start, count, descending=query.descending) if reach.projects else []
        )
        single = islice(self.items.index.rows_by_id(replace(query, ids=tuple(reach.documents))), count)
        # A document may be both; the row that was read last counts.
        rows = {row.public_id: row for row in (*rows_in_projects, *single)}.values()
        return sorted(rows, key=lambda row: row.public_id, reverse=query.descending)[:count]

    def batch(
        self, access: Access, operations: Sequence[Operation], write_id: WriteId, max_value_bytes: int
    ) -> list[Outcome]:
        """Carry out many operations, as ``carry_out`` does."""
        return carry_out(self, access, operations, write_id, max_value_bytes)

    def check_in_scope(self, access: Access, public_id: int) -> None:
        """Raise unless a key may name this document, which need not exist if the key is limited to its very id."""
        if access.admits(public_id, None):
            return
        row = self.items.index.row_at_or_before(public_id)
        if row is None or row.public_id != public_id or not access.admits_project(row.project_id):
            raise self.refusal(access, public_id)

    def refusals(self, access: Access, public_ids: Sequence[int]) -> dict[int, ServiceError]:
        """Return the errors for the documents out of scope, by id, reading one row of the index for each."""
        if access.reach is None:
            return {}
        rows = self.items.index.rows_by_id(ListQuery(limit=len(public_ids), ids=tuple(public_ids)))
        in_scope = {row.public_id for row in rows if access.admits_project(row.project_id)} | access.reach.documents
        return {each: self.refusal(access, each) for each in public_ids if each not in in_scope}

    def admits(self, access: Access, item: StoredItem | RenderedItem) -> bool:
        """Return whether the document, or the project that it is in now, is in the key's scope."""
        return access.admits(item.public_id, item.project_id)

    def check_may_create(self, access: Access) -> None:
        """Raise for a key that is limited to documents."""
        if access.reach is not None and not access.reach.projects:
            raise Forbidden("This key is limited to existing documents, so it cannot create any.")

    def check_copy(self, access: Access, item: StoredItem) -> None:
        """Raise unless the project is in scope, since the copy would be in it too."""
        if not access.admits_project(item.project_id):
            raise Forbidden("This key is not allowed to use the project that the copy would be in.")

    def check_allowed(
        self, access: Access, item: StoredItem | None, fields: Fields, accepts_documents: AcceptsDocuments
    ) -> None:
        """Raise unless the key may give ``item``, or a new document, these fields.

        To move a document, a key needs both projects in its scope.
        """
        if item is not None:
            self.check_still_in_scope(access, item)
        if item is None or fields.get("project_id") != item.project_id:
            self._check_open(access, fields.get("project_id"), accepts_documents)
            if item is not None and not access.admits_project(item.project_id):
                raise Forbidden("This key is not allowed to use the project that the document would leave.")

    @after_a_write()
    def check_project_still_open(
        self, access: Access, change: Change, write_id: WriteId, accepts_documents: AcceptsDocuments
    ) -> None:
        """Undo a creation or a move whose project was deleted meanwhile, and raise.

        Where others have moved or deleted the document since, they built on a write that counts.
        """
        project_before = change.before.project_id if change.before else None
        if change.after.project_id != project_before and change.after.project_id is not None:
            self._check_still_open(access, change, write_id, accepts_documents)

    def _check_still_open(
        self, access: Access, change: Change, write_id: WriteId, accepts_documents: AcceptsDocuments
    ) -> None:
        try:
            self._check_open(access, change.after.project_id, accepts_documents)
        except (ValidationFailed, Conflict):
            try:
                document = undo_write(self.items, change, write_id)
            except (Superseded, NotFound):
                return
            if document:
                # The project that it was in may be gone as well; then it is in no project.
                back = Change(without_project(document), document)
                with suppress(ValidationFailed, Conflict):
                    self.check_project_still_open(access, back, write_id.compensation, self.accepts_documents)
            raise

    def _check_open(self, access: Access, project_id: int | None, accepts_documents: AcceptsDocuments) -> None:
        """Raise unless a document can be put into this project, or into none."""
        if project_id is None:
            if not access.admits_project(None):
                raise Forbidden("This key keeps documents in its projects only.")
            return
        absent = ValidationFailed(faults=(Fault("body.project_id", f"There is no project {project_id}."),))
        if not access.admits_project(project_id):
            raise access.refusal(absent)
        if not accepts_documents(project_id):
            raise absent

    def accepts_documents(self, project_id: int) -> bool:
        """Return whether there is such a project. Raises Conflict while it is being deleted."""
        return self._projects.accepts_documents(project_id)

    def preload_projects(self, access: Access, fields: Iterable[Fields]) -> AcceptsDocuments:
        """Return ``accepts_documents`` for the projects in ``fields`` that are in scope, reading them together."""
        named = {each["project_id"] for each in fields if each.get("project_id")}
        return self._projects.preload([each for each in named if access.admits_project(each)])


class Superseded(Exception):
    """Others have moved the document to another project."""


class Modified(Exception):
    """Others have changed the document."""


def undo_write(documents: Items, change: Change, write_id: WriteId) -> StoredItem | None:
    """Undo a creation or a move that was written under ``write_id``; return the document, None if it is deleted.

    A new document that others have changed is put into no project instead, so that their work stays. The undoing has
    a write id of its own, by which a repetition recognises it. Raises Superseded, NotFound where others have deleted
    the document, Conflict and Unavailable.
    """
    before, after = change

    def check_not_superseded(item: StoredItem) -> None:
        if item.project_id != after.project_id:
            raise Superseded

    def check_not_modified(item: StoredItem) -> None:
        check_not_superseded(item)
        if not item.is_by(write_id):
            raise Modified

    if before is None:
        with suppress(Modified):
            compensation = write_id.compensation
            documents.delete(after.public_id, after.updated_by, check=check_not_modified, write_id=compensation)
            return None
        before = without_project(after)
    project = {name: value for name, value in before.fields.items() if name == "project_id"}

    def compose(item: StoredItem) -> Fields:
        check_not_superseded(item)
        if item.revision == after.revision:
            return documents.state(before)
        # Others have changed it since. Their changes stay, but not in this project.
        return {**documents.state(without_project(item)), **project}

    return documents.update(after.public_id, compose, None, write_id=write_id.compensation).after


def without_project(document: StoredItem) -> StoredItem:
    """Return the same document in no project."""
    return replace(document, fields={name: it for name, it in document.fields.items() if name != "project_id"})

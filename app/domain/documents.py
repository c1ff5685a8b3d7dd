"""Documents as a key reaches them, and in which project they may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from app.domain.access import Access, Reach
from app.domain.batches.batch import carry_out
from app.domain.batches.operations import Operation, Outcome
from app.domain.compensation import MovedOn, take_back
from app.domain.condition import ANY, Condition
from app.domain.items import Compose, Items
from app.domain.listing.merged_walk import MergedWalk
from app.domain.listing.pages import IndexRow, ListQuery, Page, cut
from app.domain.merge_patch import merged
from app.domain.projects import Projects
from app.domain.rendered import RenderedItem
from app.errors import Conflict, Fault, Forbidden, NotFound, ServiceError, ValidationFailed
from app.store.confirmed_writes import after_a_write
from app.store.items import StoredItem
from app.store.write_id import WriteId

Takes = Callable[[int], bool]


class Documents:
    """Whatever names something beyond the key's reach is refused alike whether it exists or not, in words that
    ``access.refusal`` chooses; listings leave it out.

    Where a limited key names a document by its id alone, one row of the index decides, so that no time tells what is
    there.
    """

    def __init__(self, documents: Items, projects: Projects, walk: MergedWalk) -> None:
        self._documents, self._projects, self._walk = documents, projects, walk

    def get(self, access: Access, document_id: int) -> StoredItem:
        """Return one document. Raises NotFound and Forbidden."""
        self._require_reached(access, document_id)
        found = self._documents.get(document_id)
        self.require_still_reached(access, found)
        return found

    def read(self, access: Access, document_id: int, *, bypass_cache: bool = False) -> RenderedItem:
        """Return what clients get of one document. Raises as ``get`` does."""
        self._require_reached(access, document_id)
        found = self._documents.read(document_id, bypass_cache=bypass_cache)
        self.require_still_reached(access, found)
        return found

    def create(self, access: Access, fields: Mapping[str, Any], attempt: WriteId | None = None) -> StoredItem:
        """Store a new document. Raises ValidationFailed for a project that does not exist, Conflict and Forbidden.

        The project is looked at before, to refuse without a trace, and after, since it may have been deleted
        meanwhile: whoever deletes it looks for documents after saying that they will (docs/decisions/writes.md).
        """
        return self._create(access, lambda: fields, attempt)

    def _create(
        self, access: Access, compose: Callable[[], Mapping[str, Any]], attempt: WriteId | None = None
    ) -> StoredItem:
        """Store what ``compose`` returns. What was made before counts, though it may not be possible any more."""
        created = self._documents.resumed(attempt)
        if created is None:
            try:
                fields = compose()
                self.require_possible(access, None, fields, self._projects.takes_documents)
            except ServiceError:
                # What an earlier run sent may have arrived since it was looked for.
                created = self._documents.resumed(attempt)
                if created is None:
                    raise
            else:
                created = self._documents.create(fields, attempt)
        self.require_arrived(access, None, created, self._projects.takes_documents)
        return created

    def reserve(self, count: int) -> tuple[int, ...]:
        """Return so many ids that nobody else is given."""
        return self._documents.reserve(count)

    def replace(
        self,
        access: Access,
        document_id: int,
        fields: Mapping[str, Any],
        condition: Condition = ANY,
        attempt: WriteId | None = None,
    ) -> StoredItem:
        """Give a document these members and no others. Raises what ``create`` does, NotFound and PreconditionFailed."""
        return self._change(access, document_id, lambda _: fields, condition, attempt)

    def patch(
        self,
        access: Access,
        document_id: int,
        patch: Mapping[str, Any],
        condition: Condition = ANY,
        attempt: WriteId | None = None,
    ) -> StoredItem:
        """Apply a merge patch (RFC 7396): a member that is None is removed. Raises what ``replace`` does."""

        def compose(found: StoredItem) -> Mapping[str, Any]:
            return merged(self._documents.members(found), patch)

        return self._change(access, document_id, compose, condition, attempt)

    def delete(
        self, access: Access, document_id: int, condition: Condition = ANY, attempt: WriteId | None = None
    ) -> None:
        """Delete a document for ever. Raises NotFound, Forbidden, PreconditionFailed and Conflict."""
        self._require_reached(access, document_id)
        self._documents.delete(document_id, condition, lambda found: self.require_still_reached(access, found), attempt)

    def copy(self, access: Access, document_id: int, attempt: WriteId | None = None) -> StoredItem:
        """Store a copy of a document under an id of its own, in the same project. Raises as ``get`` and ``create``."""

        def compose() -> Mapping[str, Any]:
            found = self.get(access, document_id)
            if not access.admits_project(found.project_id):
                raise Forbidden("This key does not reach the project that the copy would be in.")
            return self._documents.members(found)

        return self._create(access, compose, attempt)

    def page(self, access: Access, query: ListQuery) -> Page:
        """Return a page of documents. Raises Forbidden where ``query`` names a project beyond the key's reach."""
        reach = access.reach
        if reach is None or access.admits_project(query.project_id):
            return self._documents.index.page(query)
        if query.project_id is not None and not access.hides:
            raise access.refusal(NotFound())
        if query.project_id is None and query.ids is None:
            return cut(self._reached(reach, query), query)
        chosen = query if query.ids is not None else replace(query, ids=tuple(reach.documents))
        rows = (row for row in self._documents.index.rows_by_id(chosen) if reach.admits(row.public_id, row.project_id))
        return cut(list(islice(rows, query.limit + 1)), query)

    def page_in_project(self, access: Access, query: ListQuery) -> Page:
        """Return a page of the documents in the project ``query.project_id``. Raises NotFound and Forbidden."""
        assert query.project_id is not None
        self._projects.get(access, query.project_id)
        return self._documents.index.page(query)

    def load(self, access: Access, page: Page) -> Page:
        """Return ``page`` with its documents, less those that left the key's reach since."""
        return self._documents.load(page, lambda item: access.admits(item.public_id, item.project_id))

    def _change(
        self, access: Access, document_id: int, compose: Compose, condition: Condition, attempt: WriteId | None = None
    ) -> StoredItem:
        self._require_reached(access, document_id)

        def composed(found: StoredItem) -> Mapping[str, Any]:
            fields = compose(found)
            self.require_possible(access, found, fields, self._projects.takes_documents)
            return fields

        before, after = self._documents.change(document_id, composed, condition, attempt)
        self.require_arrived(access, before, after, self._projects.takes_documents)
        return after

    def require_possible(
        self, access: Access, found: StoredItem | None, fields: Mapping[str, Any], takes: Takes
    ) -> None:
        """Raise unless the key may make of ``found``, or of nothing, a document with these ``fields``.

        To move one it must reach both ends of the way as projects; ``takes`` tells of a project whether it is there.
        """
        if found is not None:
            self.require_still_reached(access, found)
        if found is None or fields.get("project_id") != found.project_id:
            self._require_open(access, fields.get("project_id"), takes)
            if found is not None and not access.admits_project(found.project_id):
                raise Forbidden("This key does not reach the project that the document would leave.")

    @after_a_write()
    def require_arrived(self, access: Access, before: StoredItem | None, after: StoredItem, takes: Takes) -> None:
        """Take a document back, or back to where it was, if its new project was deleted meanwhile, and raise.

        If others have put it elsewhere or deleted it by then, they went on from a write that counts.
        """
        if before is not None and after.project_id == before.project_id:
            return
        try:
            self._require_open(access, after.project_id, takes)
        except (ValidationFailed, Conflict):
            try:
                returned = take_back(self._documents, before, after)
            except (MovedOn, NotFound):
                return
            if returned:
                # Where it was may be gone as well; then it is in no project.
                with suppress(ValidationFailed, Conflict):
                    self.require_arrived(access, returned.nowhere(), returned, self._projects.takes_documents)
            raise

    def _require_open(self, access: Access, project_id: int | None, takes: Takes) -> None:
        """Raise unless a document can be put into this project, or into none."""
        absent = ValidationFailed(faults=(Fault("body.project_id", f"There is no project {project_id}."),))
        if not access.admits_project(project_id):
            raise access.refusal(absent) if project_id else Forbidden("This key keeps documents in its projects only.")
        if project_id is not None and not takes(project_id):
            raise absent

    def _require_reached(self, access: Access, document_id: int) -> None:
        """Raise unless a key may name this document, which need not exist if the key is limited to its very id."""
        if access.admits(document_id, None):
            return
        row = self._documents.index.row_at_or_before(document_id)
        if row is None or row.public_id != document_id or not access.admits_project(row.project_id):
            raise _refusal(access, document_id)

    def require_still_reached(self, access: Access, found: StoredItem | RenderedItem) -> None:
        """Raise if the document was moved out of the key's reach since the index was read."""
        if not access.admits(found.public_id, found.project_id):
            raise _refusal(access, found.public_id)

    def refusals(self, access: Access, document_ids: Sequence[int]) -> dict[int, ServiceError]:
        """Return what to say of those documents that the key does not reach."""
        if access.reach is None:
            return {}
        rows = self._documents.index.rows_by_id(ListQuery(limit=len(document_ids), ids=tuple(document_ids)))
        reached = {row.public_id for row in rows if access.admits_project(row.project_id)} | access.reach.documents
        return {each: _refusal(access, each) for each in document_ids if each not in reached}

    def batch(self, access: Access, operations: Sequence[Operation], attempt: WriteId) -> list[Outcome]:
        """Carry out many operations, as ``carry_out`` does."""
        return carry_out(self, self._documents, access, operations, attempt)

    def takes(self, access: Access, fields: Iterable[Mapping[str, Any]]) -> Takes:
        """Return what tells of the projects in ``fields`` that the key reaches whether documents can be put there."""
        named = {each["project_id"] for each in fields if each.get("project_id")}
        return self._projects.seen_together([each for each in named if access.admits_project(each)])

    def _reached(self, reach: Reach, query: ListQuery) -> list[IndexRow]:
        """Return one row more than fits on the page, of all that ``reach`` admits."""
        count, start = query.limit + 1, query.bounds[query.descending]
        found = self._walk.rows(reach.projects, start, count, descending=query.descending) if reach.projects else []
        single = islice(self._documents.index.rows_by_id(replace(query, ids=tuple(reach.documents))), count)
        # A document may be both; the row that was read last counts.
        rows = {row.public_id: row for row in (*found, *single)}.values()
        return sorted(rows, key=lambda row: row.public_id, reverse=query.descending)[:count]


def _refusal(access: Access, document_id: int) -> ServiceError:
    return access.refusal(NotFound(f"There is no document {document_id}."))

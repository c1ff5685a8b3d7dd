"""The operations that documents and projects have in common, within the rights of a key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from app.domain.access import Access
from app.domain.items import Items
from app.domain.listing.pages import ListQuery, Page
from app.domain.resources import RenderedItem
from app.errors import ServiceError, UnresolvedConflict
from app.store.items import ANY, Change, Condition, Fields, StoredItem, WriteId

# Returns whether documents can be put into the project with this id. Raises Conflict while it is being deleted.
AcceptsDocuments = Callable[[int], bool]
# Returns the members that an item gets, None if it has them; the argument are its members now.
Merge = Callable[[Fields], Fields | None]


class ItemService(ABC):
    """The operations on one resource type; a subclass defines the rights of a key on an item.

    An item that is out of the key's scope is refused in the same way whether it exists or not (``access.refusal``).
    """

    def __init__(self, items: Items) -> None:
        self.items = items

    @abstractmethod
    def check_in_scope(self, access: Access, public_id: int) -> None:
        """Raise, before the item is read, unless the key may name it."""

    @abstractmethod
    def refusals(self, access: Access, public_ids: Sequence[int]) -> dict[int, ServiceError]:
        """Return by id what ``check_in_scope`` raises for items out of scope."""

    @abstractmethod
    def admits(self, access: Access, item: StoredItem | RenderedItem) -> bool:
        """Return whether an item is in the key's scope as it is now."""

    @abstractmethod
    def check_allowed(
        self, access: Access, item: StoredItem | None, fields: Fields, accepts_documents: AcceptsDocuments, /
    ) -> None:
        """Raise unless the key may give ``item``, or a new item, these fields."""

    def check_project_still_open(  # noqa: B027 - only documents are in projects
        self, access: Access, change: Change, write_id: WriteId, accepts_documents: AcceptsDocuments, /
    ) -> None:
        """Undo a change whose project was deleted while it was written, and raise."""

    @abstractmethod
    def accepts_documents(self, project_id: int) -> bool:
        """Return whether documents can be put into a project. Raises Conflict while it is being deleted."""

    def preload_projects(self, access: Access, fields: Iterable[Fields], /) -> AcceptsDocuments:  # noqa: ARG002
        """Return ``accepts_documents`` for the projects that these fields name, reading them together."""
        return self.accepts_documents

    @abstractmethod
    def page(self, access: Access, query: ListQuery) -> Page:
        """Return the rows of a page."""

    @abstractmethod
    def check_may_create(self, access: Access) -> None:
        """Raise Forbidden if a limited key can create no item of this type at all."""

    def check_copy(self, access: Access, item: StoredItem, /) -> None:  # noqa: B027 - a copied project holds nothing
        """Raise unless the key may copy an item that it may read."""

    def refusal(self, access: Access, public_id: int) -> ServiceError:
        """Return the error for an item out of scope."""
        return access.refusal(self.items.absent(public_id))

    def check_still_in_scope(self, access: Access, item: StoredItem | RenderedItem) -> None:
        """Raise if an item has left the key's scope since ``check_in_scope``."""
        if not self.admits(access, item):
            raise self.refusal(access, item.public_id)

    def check_replaceable(self, access: Access, item: StoredItem, condition: Condition) -> None:
        """Raise UnresolvedConflict for an item with an open conflict, unless the condition names its current version.

        A client that names no version may not know that there are several.
        """
        if item.conflicts and condition.is_unconditional:
            self.check_still_in_scope(access, item)
            condition.check(item.revision)
            self.check_resolved(item)

    def check_resolved(self, item: StoredItem) -> None:
        """Raise UnresolvedConflict if an item has an open conflict."""
        if self.items.conflicts.is_open(item):
            path = f"/{self.items.resource_type.database}/{item.public_id}"
            raise UnresolvedConflict(
                f"This {self.items.resource_type.name} has an open conflict: GET {path}/conflicts shows its versions. "
                f"Resolve it with POST {path}/resolve, or send the ETag of the current version in If-Match."
            )

    def allowed(
        self, access: Access, item: StoredItem | None, fields: Fields, accepts_documents: AcceptsDocuments
    ) -> Fields:
        """Return ``fields``. Raises what ``check_allowed`` raises."""
        self.check_allowed(access, item, fields, accepts_documents)
        return fields

    def patched(self, item: StoredItem, patch: Mapping[str, Any]) -> Fields:
        """Return an item's members with a merge patch applied (RFC 7396)."""
        members = {**self.items.members(item), **patch}
        return {name: value for name, value in members.items() if value is not None}

    def get(self, access: Access, public_id: int) -> StoredItem:
        """Return one item. Raises NotFound and Forbidden."""
        self.check_in_scope(access, public_id)
        item = self.items.get(public_id)
        self.check_still_in_scope(access, item)
        return item

    def read(self, access: Access, public_id: int, *, bypass_cache: bool = False) -> RenderedItem:
        """Return one item as clients read it. Raises NotFound and Forbidden."""
        self.check_in_scope(access, public_id)
        item = self.items.read(public_id, bypass_cache=bypass_cache)
        self.check_still_in_scope(access, item)
        return item

    def load(self, access: Access, page: Page, max_bytes: int | None = None) -> Page:
        """Return ``page`` with its items, less those that have left the key's scope since.

        The page ends early at about ``max_bytes``, as in ``Items.load``.
        """
        return self.items.load(page, partial(self.admits, access), max_bytes)

    def reserve(self, count: int) -> tuple[int, ...]:
        """Return ``count`` ids that nobody else is given."""
        return self.items.reserve(count)

    def create(self, access: Access, fields: Fields, write_id: WriteId | None = None) -> StoredItem:
        """Store a new item. Raises Forbidden, ValidationFailed for a missing project, Conflict and OutcomeUnknown."""
        return self._create(access, lambda: fields, write_id or WriteId())

    def copy(
        self, access: Access, public_id: int, condition: Condition = ANY, write_id: WriteId | None = None
    ) -> StoredItem:
        """Store a copy of an item under an id of its own. Raises as ``get`` and ``create``, and PreconditionFailed."""

        def compose() -> Fields:
            item = self.get(access, public_id)
            self.check_copy(access, item)
            condition.check(item.revision)
            return self.items.members(item)

        return self._create(access, compose, write_id or WriteId())

    def replace(
        self,
        access: Access,
        public_id: int,
        fields: Fields,
        condition: Condition = ANY,
        write_id: WriteId | None = None,
    ) -> StoredItem:
        """Replace all members of an item.

        Raises NotFound, PreconditionFailed, UnresolvedConflict and what ``create`` raises.
        """
        return self._update(access, public_id, lambda _: fields, condition, write_id)

    def patch(
        self,
        access: Access,
        public_id: int,
        patch: Mapping[str, Any],
        condition: Condition = ANY,
        write_id: WriteId | None = None,
    ) -> StoredItem:
        """Apply a merge patch (RFC 7396): a member that is None is removed. Raises what ``replace`` raises."""
        return self._update(access, public_id, lambda item: self.patched(item, patch), condition, write_id)

    def merge(
        self,
        access: Access,
        public_id: int,
        merge: Merge,
        condition: Condition = ANY,
        write_id: WriteId | None = None,
    ) -> StoredItem:
        """Join a client's version with the stored one. Raises as ``replace`` and ``merge`` do."""
        return self._update(access, public_id, partial(self.merged, access, merge, condition), condition, write_id)

    def merged(self, access: Access, merge: Merge, condition: Condition, item: StoredItem) -> Fields | None:
        """Return the result of ``merge`` for an item, after the checks of scope and condition."""
        self.check_still_in_scope(access, item)
        members = self.items.members(item)
        condition.check(item.revision, members)
        self.check_resolved(item)
        return merge(members)

    def delete(
        self, access: Access, public_id: int, condition: Condition = ANY, write_id: WriteId | None = None
    ) -> None:
        """Delete an item, with all its versions in conflict.

        Raises NotFound, Forbidden, PreconditionFailed, UnresolvedConflict and Conflict.
        """
        self.check_in_scope(access, public_id)

        def check(item: StoredItem) -> None:
            self.check_still_in_scope(access, item)
            self.check_replaceable(access, item, condition)

        self.items.delete(public_id, access.principal, condition, check, write_id)

    def _create(self, access: Access, compose: Callable[[], Fields], write_id: WriteId) -> StoredItem:
        """Store the members that ``compose`` returns.

        The project is checked before the write, to refuse without a trace, and after it: it may have been deleted
        meanwhile, and its deletion marks the project before it looks for documents (docs/decisions/writes.md).
        """

        def allowed() -> Fields:
            return self.allowed(access, None, compose(), self.accepts_documents)

        item = self.items.create(allowed, access.principal, write_id)
        self.check_project_still_open(access, Change(None, item), write_id, self.accepts_documents)
        return item

    def _update(
        self,
        access: Access,
        public_id: int,
        compose: Callable[[StoredItem], Fields | None],
        condition: Condition,
        write_id: WriteId | None,
    ) -> StoredItem:
        self.check_in_scope(access, public_id)

        def allowed(item: StoredItem) -> Fields | None:
            self.check_replaceable(access, item, condition)
            fields = compose(item)
            return None if fields is None else self.allowed(access, item, fields, self.accepts_documents)

        write_id = write_id or WriteId()
        change = self.items.update(public_id, allowed, access.principal, condition, write_id)
        self.check_project_still_open(access, change, write_id, self.accepts_documents)
        return change.after

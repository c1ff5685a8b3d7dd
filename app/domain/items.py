"""Documents and projects: single items, many of them, and their changes, the same for both kinds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from app.domain.clock import timestamp
from app.domain.condition import ANY, Condition, stale
from app.domain.listing.index import Index
from app.domain.listing.pages import IndexRow, Page
from app.domain.rendered import RenderedItem
from app.domain.resource_types import ResourceType
from app.errors import Conflict, NotFound, ServiceError, Unavailable
from app.store import Database
from app.store.claimed_ids import Allocator
from app.store.confirmed_writes import ConfirmedWrites, Result, pauses
from app.store.items import Change, StoredItem
from app.store.revision_history import History, created, histories, made
from app.store.write_id import WriteId

log = logging.getLogger("dreamscript.collection")

# How many ids in a row may turn out to be taken before a creation gives up.
MAX_TAKEN = 5

# What an item's members become, made of what it is; it is called again for each try.
Compose = Callable[[StoredItem], Mapping[str, Any]]


class Items:
    """All items of one type."""

    def __init__(self, resource_type: ResourceType, items: Database, allocator: Allocator) -> None:
        self.resource_type, self._items, self._allocator = resource_type, items, allocator
        self.index, self._writes = Index(self.resource_type, items), ConfirmedWrites(items)

    def members(self, item: StoredItem) -> dict[str, Any]:
        """Return what clients have set of an item."""
        return {name: item.fields[name] for name in self.resource_type.members if name in item.fields}

    def get(self, public_id: int) -> StoredItem:
        """Return one item. Raises NotFound."""
        found = self.find(public_id)
        if found is None:
            raise NotFound(f"There is no {self.resource_type.name} {public_id}.")
        return found

    def read(self, public_id: int, *, bypass_cache: bool = False) -> RenderedItem:  # noqa: ARG002
        """Return an item as clients read it. Raises NotFound. A subclass may have a cache to bypass."""
        return RenderedItem.of(self.resource_type, self.get(public_id).fields)

    def read_rows(self, rows: Sequence[IndexRow]) -> list[RenderedItem]:
        """Return the items of index rows as clients read them now, in order, less those that were deleted since."""
        items = self.find_many([row.public_id for row in rows])
        return [RenderedItem.of(self.resource_type, item.fields) for item in items.values()]

    def find(self, public_id: int) -> StoredItem | None:
        """Return one item, None if there is none."""
        found = self._items.get(self.resource_type.doc_id(public_id))
        return None if found is None else StoredItem(found["_rev"], found)

    def reserve(self, count: int) -> tuple[int, ...]:
        """Return so many ids that nobody else has been or will be given."""
        return self._allocator.next_ids(count)

    def create(self, fields: Mapping[str, Any], attempt: WriteId | None = None) -> StoredItem:
        """Store a new item under an id of its own, or of the ``attempt``; return what it has made if it is resumed.

        Raises Unavailable if it is not known to be stored by a quorum. A taken id means that `-meta` is older than
        the items, which happens when one is restored from a backup without the other; the next ids are tried.
        """
        attempt = attempt or WriteId()
        if earlier := self.resumed(attempt):
            return earlier
        for public_id in attempt.ids or (self._allocator.next_id() for _ in range(MAX_TAKEN)):
            item = {**self.compose(public_id, None, fields), "nonce": attempt.nonce}
            try:
                return StoredItem(self._writes.store(item, attempt.nonce), item)
            except Conflict:
                # What an earlier run sent may have arrived since it was looked for.
                if arrived := self.resumed(attempt):
                    return arrived
                self.report_taken(public_id)
        raise Conflict("No free id was found; try again.")

    def report_taken(self, public_id: int) -> None:
        """Say in the log that an id which was dealt out belongs to something already."""
        log.error("id already taken: is -meta older than -%s?", self.resource_type.database, extra={"id": public_id})

    def resumed(self, attempt: WriteId | None) -> StoredItem | None:
        """Return the item that an earlier run of a resumed ``attempt`` has created, if it has.

        Raises Unavailable, and Conflict if that run has taken it back.
        """
        if attempt is None or attempt.since is None:
            return None
        found = (self._made(public_id, attempt, created) for public_id in attempt.ids)
        return next((change.after for change in found if change), None)

    def compose(self, public_id: int, found: StoredItem | None, fields: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the document that follows ``found``, or begins, with these members; a tombstone without any."""
        head, now = (
            {"_id": self.resource_type.doc_id(public_id), "type": self.resource_type.name, "id": public_id},
            timestamp(),
        )
        if fields is None:
            kept = {"project_id": found.project_id} if found and found.project_id else {}
            return {**head, **kept, "updated_at": now, "_deleted": True}
        created_at = found.fields["created_at"] if found else now
        return {**head, **fields, "created_at": created_at, "updated_at": now}

    def store_many(self, documents: Sequence[Mapping[str, Any]]) -> dict[str, Result]:
        """Store composed documents in few requests; return by `_id` the revision, or why there is none."""
        return self._writes.store_many(documents)

    def find_many(self, public_ids: Sequence[int]) -> dict[int, StoredItem]:
        """Return those of the items that there are, by id."""
        found = self._items.get_many([self.resource_type.doc_id(public_id) for public_id in public_ids])
        return {item["id"]: StoredItem(item["_rev"], item) for item in found.values()}

    def histories(self, public_ids: Sequence[int], since: str) -> dict[int, History]:
        """Return what became of items ``since``, by id."""
        found = histories(self._items, [self.resource_type.doc_id(public_id) for public_id in public_ids], since)
        return {self.resource_type.public_id(doc_id): history for doc_id, history in found.items()}

    def _made(self, public_id: int, attempt: WriteId, told: Callable[..., Change | None] = made) -> Change | None:
        """Return what an earlier run of ``attempt`` has made of an item, known to be stored by a quorum."""
        if attempt.since is None:
            return None
        change = told(self.histories([public_id], attempt.since).get(public_id, ()), attempt.nonce)
        if change is None or change.after.is_deleted:
            return change
        try:
            # It may be on fewer nodes than a quorum: once more on top of itself, for a 201 that proves both.
            revision = self._writes.store(change.after.fields, attempt.nonce)
        except Conflict:
            # Others have gone on from it, or what undoes it has arrived by now.
            return told(self.histories([public_id], attempt.since).get(public_id, ()), attempt.nonce)
        return Change(change.before, StoredItem(revision, change.after.fields))

    def change(
        self, public_id: int, compose: Compose, condition: Condition = ANY, attempt: WriteId | None = None
    ) -> Change:
        """Replace an item's members by what ``compose`` makes of it, unless an earlier run of ``attempt`` has.

        Without a condition, of two changes at once the later is composed anew on top of the earlier. Raises NotFound,
        what ``compose`` raises, PreconditionFailed, Unavailable, and Conflict if others were faster every time.
        """

        def composed(found: StoredItem) -> dict[str, Any]:
            return self.compose(public_id, found, compose(found))

        return self._carry_out(public_id, composed, condition, attempt or WriteId())

    def delete(
        self,
        public_id: int,
        condition: Condition = ANY,
        check: Callable[[StoredItem], object] = lambda _: None,
        attempt: WriteId | None = None,
    ) -> None:
        """Leave of an item a tombstone that tells what it was and in which project.

        Raises what ``check`` raises of the item, and what ``change`` does.
        """

        def composed(found: StoredItem) -> dict[str, Any]:
            check(found)
            return self.compose(public_id, found, None)

        self._carry_out(public_id, composed, condition, attempt or WriteId())

    def _carry_out(
        self, public_id: int, composed: Callable[[StoredItem], dict[str, Any]], condition: Condition, attempt: WriteId
    ) -> Change:
        if done := self._made(public_id, attempt):
            return done
        for _ in chain((None,), pauses()):
            try:
                done = self._try(public_id, composed, condition, attempt)
            except Unavailable:
                # It says whether anything can have been stored, which a look that fails as well would hide.
                raise
            except ServiceError:
                # What an earlier run sent may have arrived since it was looked for.
                done = self._made(public_id, attempt)
                if done is None:
                    raise
            if done:
                return done
        raise Conflict

    def _try(
        self, public_id: int, composed: Callable[[StoredItem], dict[str, Any]], condition: Condition, attempt: WriteId
    ) -> Change | None:
        """Return what was done, None if others were faster and another try can succeed. Raises PreconditionFailed."""
        found = self.get(public_id)
        if found.fields.get("nonce") == attempt.nonce and (done := self._made(public_id, attempt)):
            # What an earlier run sent has arrived since it was looked for.
            return done
        item = {**composed(found), "nonce": attempt.nonce}
        revision = condition.revision(found.revision)
        if revision is None:
            raise stale(found)
        try:
            return Change(found, StoredItem(self._writes.store({**item, "_rev": revision}, attempt.nonce), item))
        except Conflict as conflict:
            if condition.is_open:
                return self._made(public_id, attempt)
            found = self.get(public_id)
            # Whoever may not change it any more is not told its tag.
            composed(found)
            raise stale(found) from conflict

    def load(self, page: Page, admits: Callable[[RenderedItem], bool] = lambda _: True) -> Page:
        """Return ``page`` with those of its items that ``admits`` accepts.

        An item that changed after its row was read is listed as it is now. One that was deleted, or that left the
        listed project, is left out. So the page's tag always describes the served items.
        """
        items = tuple(
            item for item in self.read_rows(page.rows) if page.project_id in (None, item.project_id) and admits(item)
        )
        rows = tuple(IndexRow(item.public_id, item.revision) for item in items)
        return replace(page, rows=rows, items=items)

"""Composes the next revision of an item: its members, times and principal, and its hidden departures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from app.domain.changes.departures import departures
from app.domain.resources import ResourceType, timestamp
from app.errors import NotFound
from app.store.items import MERGED_FROM, RESTORED_FROM, Condition, Fields, StoredItem, Update, WriteId


class Resolved(NamedTuple):
    """The members of a revision that resolves a conflict, and the leaves that it supersedes beside its parent."""

    members: Fields
    superseded: Sequence[StoredItem]


class UpdateBuilder:
    """The writes of items of one type. It sends none."""

    def __init__(self, resource_type: ResourceType) -> None:
        self.resource_type = resource_type

    def members(self, item: StoredItem) -> dict[str, Any]:
        """Return the members of an item that clients have set."""
        return {name: item.fields[name] for name in self.resource_type.members if name in item.fields}

    def state(self, item: StoredItem) -> dict[str, Any]:
        """Return the members of an item that clients have set, and its principal, for a write that restores both."""
        return {**self.members(item), **_origin(item.updated_by)}

    def absent(self, public_id: int) -> NotFound:
        """Return the error for an item that does not exist."""
        return NotFound(f"There is no {self.resource_type.name} {public_id}.")

    def creation(self, public_id: int, compose: Callable[[], Fields], updated_by: str, write_id: WriteId) -> Update:
        """Return the creation of an item with the members that ``compose`` returns."""

        def fields(_: StoredItem | None) -> Fields:
            return self._fields(public_id, compose(), updated_by, None)

        return Update(self.resource_type.doc_id(public_id), fields, write_id)

    def replacement(
        self,
        public_id: int,
        compose: Callable[[StoredItem], Fields | None],
        updated_by: str | None,
        condition: Condition,
        write_id: WriteId,
    ) -> Update:
        """Return the replacement of an item's members."""

        def fields(item: StoredItem | None) -> Fields | None:
            if item is None:
                raise self.absent(public_id)
            members = compose(item)
            condition.check(item.revision, self.members(item))
            return None if members is None else self._fields(public_id, members, updated_by, item)

        return Update(self.resource_type.doc_id(public_id), fields, write_id)

    def deletion(
        self,
        public_id: int,
        check: Callable[[StoredItem], None],
        updated_by: str | None,
        condition: Condition,
        write_id: WriteId,
    ) -> Update:
        """Return the deletion of an item."""

        def fields(item: StoredItem | None) -> Fields:
            if item is None:
                raise self.absent(public_id)
            check(item)
            condition.check(item.revision, self.members(item))
            return self.tombstone(item, updated_by)

        return Update(self.resource_type.doc_id(public_id), fields, write_id, deletes=True)

    def restoration(
        self,
        version: StoredItem,
        tombstones: Callable[[], Mapping[int, StoredItem]],
        compose: Callable[[StoredItem], Fields],
        updated_by: str,
        condition: Condition,
        write_id: WriteId,
    ) -> Update:
        """Return the write that gives an item the content of an earlier ``version``, over its own tombstone as well.

        ``tombstones`` reads the tombstone of a deleted item. ``compose`` returns the members that the current item, or
        its tombstone, gets.
        """

        def fields(item: StoredItem | None) -> Fields:
            current = item or tombstones().get(version.public_id)
            if current is None:
                raise self.absent(version.public_id)
            members = compose(current)
            applicable = condition if item else condition.of_deleted
            applicable.check(current.revision, self.members(current))
            current = replace(current, fields={"created_at": version.fields["created_at"], **current.fields})
            return {**self._fields(version.public_id, members, updated_by, current), RESTORED_FROM: version.revision}

        return Update(version.doc_id, fields, write_id)

    def resolution(
        self,
        public_id: int,
        compose: Callable[[StoredItem], Resolved],
        updated_by: str,
        condition: Condition,
        write_id: WriteId,
    ) -> Update:
        """Return the write of a revision that takes the place of several live leaves of an item."""

        def fields(item: StoredItem | None) -> Fields:
            if item is None:
                raise self.absent(public_id)
            members, superseded = compose(item)
            condition.check(item.revision, self.members(item))
            fields = self._fields(public_id, members, updated_by, item, superseded)
            origin = {MERGED_FROM: sorted(leaf.revision for leaf in superseded)} if superseded else {}
            return {**fields, **origin}

        return Update(self.resource_type.doc_id(public_id), fields, write_id)

    def tombstone(self, item: StoredItem, updated_by: str | None) -> Fields:
        """Return the fields that the tombstone of a live leaf keeps."""
        project, now = {"project_id": item.project_id} if item.project_id else {}, timestamp()
        hidden = {"updated_at": now, **_origin(updated_by), **departures(item, item.project_id, now)}
        return {"type": self.resource_type.name, "id": item.public_id, **project, **hidden}

    def _fields(
        self,
        public_id: int,
        members: Fields,
        updated_by: str | None,
        item: StoredItem | None,
        superseded: Sequence[StoredItem] = (),
    ) -> Fields:
        now = timestamp()
        times = {"created_at": item.fields["created_at"] if item else now, "updated_at": now}
        hidden = {**_origin(updated_by), **departures(item, members.get("project_id"), now, superseded)}
        return {"type": self.resource_type.name, "id": public_id, **members, **times, **hidden}


def _origin(updated_by: str | None) -> Fields:
    return {} if updated_by is None else {"updated_by": updated_by}

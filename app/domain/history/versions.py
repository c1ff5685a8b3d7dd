"""The versions of an item within the rights of a key: list them, read one, restore one, and forget all."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from operator import attrgetter
from typing import Any

from app.domain.access import Access
from app.domain.item_service import ItemService
from app.domain.resources import PROJECT
from app.errors import Conflict, NotFound, Orphan, ServiceError, ValidationFailed
from app.store.items import ANY, Condition, Fields, StoredItem, WriteId
from app.store.leaves import Leaves, winner_order
from app.store.uncaptured import read_uncaptured
from app.store.version import Version
from app.store.versions import VersionStore

# Versions that are read from the history in one request; a page of large ones has fewer.
READ_VERSIONS = 50
# A page ends once its texts have this many characters together.
MAX_PAGE_CHARACTERS = 2**23
# The sort key of a version among those of its item.
NEWNESS = attrgetter("order")


@dataclass(frozen=True)
class VersionPage:
    """Versions, newest first, and the revision after which the next page begins, None on the last page."""

    versions: tuple[Version, ...]
    next_revision: str | None

    @property
    def tag(self) -> str:
        """The ETag: a digest of everything that may change. Replication may bring the content of a lost version."""
        rows = [(version.revision, version.is_lost, version.updated_by) for version in self.versions]
        content = [rows, self.next_revision is not None]
        return sha256(json.dumps(content).encode()).hexdigest()[:32]


class Versions:
    """The versions of all items of one type. All of it raises Unavailable.

    They are those in the history, and those that were not captured yet, which are read from the database of the items.
    A limited key sees the versions that were in its own limits.
    """

    def __init__(self, service: ItemService, leaves: Leaves, history: VersionStore) -> None:
        self._service, self._items, self._leaves, self._history = service, service.items, leaves, history

    def page(self, access: Access, public_id: int, limit: int, before: str | None = None) -> VersionPage:
        """Return up to ``limit`` versions older than the revision ``before``. Raises NotFound and Forbidden."""
        versions: list[Version] = []
        characters = 0
        for version in self._newest_first(public_id, before):
            if not self._admits(access, version):
                continue
            if len(versions) == limit or characters >= MAX_PAGE_CHARACTERS:
                return VersionPage(tuple(versions), versions[-1].revision)
            versions.append(version)
            characters += version.characters
        if not versions and before is None:
            raise self._absent(access, public_id)
        return VersionPage(tuple(versions), None)

    def get(self, access: Access, public_id: int, revision: str) -> Version:
        """Return one version. Raises NotFound and Forbidden."""
        doc_id = self._items.resource_type.doc_id(public_id)
        if self._history.forgotten([doc_id]):
            raise self._absent(access, public_id)
        version = self._history.read(doc_id, revision) or self._uncaptured(doc_id).get(revision)
        if version is None or not self._admits(access, version):
            raise self._absent(access, public_id)
        return version

    def last_project(self, tombstone: StoredItem) -> int | None:
        """Return the project of the newest version that has content, None if there is none.

        The version right before ``tombstone`` is tried first, in the history alone: that costs few requests, and in
        most cases it is there. Raises Unavailable.
        """
        versions: Iterable[Version] = self._history.page(tombstone.doc_id, tombstone.revision, 1).versions
        if not any(_has_content(each) and each.order[0] == tombstone.generation - 1 for each in versions):
            versions = self._newest_first(self._items.resource_type.public_id(tombstone.doc_id))
        newest = next(filter(_has_content, versions), None)
        return (newest.members or {}).get("project_id") if newest else None

    def restore(
        self,
        access: Access,
        public_id: int,
        revision: str,
        condition: Condition = ANY,
        write_id: WriteId | None = None,
    ) -> StoredItem:
        """Write the content of a version as a new one, also where the item is deleted; return the item.

        Raises NotFound, Forbidden, PreconditionFailed, Conflict for a version without content, and Orphan if the
        project of the version is gone.
        """
        version = self.get(access, public_id, revision)
        if version.members is None or version.is_deleted:
            raise Conflict("This version has no content that could be restored.")
        write_id = write_id or WriteId()
        compose = partial(self._restored, access, version.members, condition)
        change = self._items.restore(self._item(version), compose, access.principal, condition, write_id)
        # The key may restore a document into a project outside its limits, where the document was before.
        unlimited = replace(access, reach=None)
        self._service.check_project_still_open(unlimited, change, write_id, self._service.accepts_documents)
        return change.after

    def public(self, version: Version) -> dict[str, Any]:
        """Return a version as clients read it."""
        head = {"etag": f'"{version.revision}"', "updated_at": version.updated_at, "updated_by": version.updated_by}
        if version.members is None:
            return {**head, "lost": True}
        if version.is_deleted:
            return {**head, "deleted": True}
        return {**head, "value": self._items.resource_type.public(self._item(version).fields)}

    def forget(self, access: Access, public_id: int) -> None:
        """Remove all versions of a deleted item permanently. Raises NotFound, Forbidden, and Conflict if it exists."""
        doc_id = self._items.resource_type.doc_id(public_id)
        item = self._items.find(public_id)
        if item and self._service.admits(access, item):
            raise Conflict("Only the versions of a deleted item can be forgotten. Delete it first.")
        versions = self._newest_first(public_id)
        first = next(versions, None)
        if item or first is None or not all(self._admits(access, version) for version in (first, *versions)):
            raise self._absent(access, public_id)
        self._history.forget(doc_id)

    def _restored(self, access: Access, members: Fields, condition: Condition, current: StoredItem) -> Fields:
        """Return ``members``, for an item or for its tombstone. Raises as ``restore``."""
        self._service.check_replaceable(access, current, condition)
        accepts_documents = self._service.accepts_documents
        project_id = members.get("project_id")
        try:
            self._service.check_allowed(access, current, members, accepts_documents)
        except ValidationFailed as error:
            raise Orphan from error
        if current.is_deleted and project_id is not None and not accepts_documents(project_id):
            raise Orphan
        return members

    def _admits(self, access: Access, version: Version) -> bool:
        return self._service.admits(access, self._item(version))

    def _item(self, version: Version) -> StoredItem:
        """Return a version as the item that it was."""
        fields = {"id": self._items.resource_type.public_id(version.doc_id), "created_at": version.created_at}
        return StoredItem(version.doc_id, version.revision, {**fields, **(version.members or {})}, version.is_deleted)

    def _absent(self, access: Access, public_id: int) -> ServiceError:
        absent = NotFound(f"There is no such version of {self._items.resource_type.name} {public_id}.")
        return absent if access.reach is None else access.refusal(absent)

    def _newest_first(self, public_id: int, before: str | None = None) -> Iterator[Version]:
        """Yield all versions that are older than the revision ``before``, without the tombstones that merges leave.

        The revision that marks a project before its deletion is left out too: nobody has edited the project.
        """
        doc_id = self._items.resource_type.doc_id(public_id)
        if self._history.forgotten([doc_id]):
            return
        uncaptured = self._uncaptured(doc_id)
        newest_first = sorted(uncaptured.values(), key=NEWNESS, reverse=True)
        recent = (each for each in newest_first if before is None or each.order < winner_order(before))
        versions = _without_tombstones(heapq.merge(recent, self._captured(doc_id, before), key=NEWNESS, reverse=True))
        if self._items.resource_type is not PROJECT:
            yield from versions
            return
        newer = (uncaptured.get(before) or self._history.read(doc_id, before)) if before else None
        yield from _without_marks(versions, newer)

    def _captured(self, doc_id: str, before: str | None) -> Iterator[Version]:
        """Yield the versions in the history that are older than the revision ``before``, newest first."""
        is_last = False
        while not is_last:
            versions, is_last = self._history.page(doc_id, before, READ_VERSIONS)
            yield from versions
            before = versions[-1].revision if versions else before

    def _uncaptured(self, doc_id: str) -> dict[str, Version]:
        """Return by revision the versions that the history may lack: the leaves, and those below up to a stored one."""
        leaves = self._leaves.read_all(doc_id)
        below = read_uncaptured(self._leaves, self._history, leaves)
        versions = [Version.of_leaf(leaf, self._items.resource_type.members) for leaf in (*leaves, *below)]
        return {version.revision: version for version in self._history.attributed(versions)}


def _has_content(version: Version) -> bool:
    return version.members is not None and not version.is_deleted


def _without_tombstones(versions: Iterable[Version]) -> Iterator[Version]:
    """Yield each version once, without the tombstones that merges leave."""
    last = None
    for version in versions:
        if version.revision != last and not version.is_merged_away:
            yield version
        last = version.revision


def _without_marks(versions: Iterable[Version], newer: Version | None) -> Iterator[Version]:
    """Yield the versions of a project without those below a deletion that repeat the version below themselves.

    ``newer`` is the version before the first one, if any.
    """
    mark: Version | None = None
    below_deletion = _below_deletion(newer)
    for version in versions:
        if mark and not (mark.parents[:1] == (version.revision,) and mark.members == version.members):
            yield mark
        mark = version if version.revision == below_deletion and not version.is_lost else None
        if mark is None:
            yield version
        below_deletion = _below_deletion(version) or below_deletion
    if mark:
        yield mark


def _below_deletion(version: Version | None) -> str | None:
    return version.parents[0] if version and version.is_deleted and version.parents else None

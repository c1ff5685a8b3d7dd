"""Shows the versions of an item in conflict, and replaces them by the version that people choose or write."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

from app.domain.access import Access
from app.domain.conflicts.judgement import Base, Judgement, Reason
from app.domain.conflicts.listing import ConflictList, JudgeMany
from app.domain.item_service import ItemService
from app.domain.item_updates import Resolved
from app.domain.merging.item_merge import ItemMerge
from app.domain.resources import DOCUMENT, ResourceType
from app.errors import Conflict, Fault, Forbidden, NotFound, Orphan, ValidationFailed
from app.store.confirmed_writes import after_a_write
from app.store.items import ANY, MERGED_FROM, Condition, Fields, StoredItem, WriteId
from app.store.leaves import Leaf, Leaves
from app.store.version import Version
from app.store.versions import VersionStore

STALE = "The versions have changed: GET …/conflicts shows them. Send all of their tags in supersedes."
ADDED = (
    "Another version was added while this one was stored, so the conflict is still open. This version is one of those "
    "that GET …/conflicts shows now: look at all of them, and resolve the conflict again."
)


@dataclass(frozen=True)
class ConflictView:
    """The versions of an item that a key may read, the current one first, and the principals that wrote them.

    A principal is None if a version was not written through the API.

    Without all of them, there is no ``merge``: it would show the others.
    """

    resource_type: ResourceType
    public_id: int
    reason: Reason | None
    is_pending: bool
    versions: tuple[Leaf, ...]
    principals: tuple[str | None, ...]
    base: Base | None = None
    merge: ItemMerge | None = None

    def value(self, fields: Fields) -> dict[str, Any]:
        """Return a version as clients read it."""
        return self.resource_type.public({**fields, "id": self.public_id})

    @property
    def tag(self) -> str:
        """The ETag: a digest of all that is shown, by revisions."""
        base = self.base and self.base.revision
        revisions = [version.revision for version in self.versions]
        content = [self.reason, self.is_pending, base, revisions, self.principals, self.merge is not None]
        return sha256(json.dumps(content).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Resolution:
    """A new version instead of those with the revisions ``supersedes``: that of ``keep``, or ``value``."""

    supersedes: frozenset[str]
    keep: str | None = None
    value: Fields | None = None


class Conflicts:
    """The conflicts of all types. All of it raises Unavailable, and NotFound and Forbidden as a read of the item."""

    def __init__(
        self,
        services: Mapping[ResourceType, ItemService],
        leaves: Mapping[ResourceType, Leaves],
        judge_many: JudgeMany,
        conflict_list: ConflictList,
        history: VersionStore,
    ) -> None:
        self._services, self._leaves, self._judge_many, self.list = services, leaves, judge_many, conflict_list
        self._history = history

    def show(self, access: Access, resource_type: ResourceType, public_id: int) -> ConflictView:
        """Return the versions of an item; without a conflict there is one."""
        service = self._services[resource_type]
        self._check_named(access, service, public_id)
        judgement = self._judge(resource_type, resource_type.doc_id(public_id))
        if judgement is None:
            raise service.items.absent(public_id)
        versions = tuple(version for version in judgement.versions if service.admits(access, version.item))
        if not versions:
            raise service.refusal(access, public_id)
        base, merge = judgement.base, judgement.merge
        admits_base = base is not None and service.admits(access, _item(resource_type, public_id, base))
        if not (_admits_all(access, service, judgement) and (admits_base or access.reach is None)):
            merge = None
        base = base if admits_base else None
        principals = self._principals(resource_type, versions)
        state = judgement.reason, judgement.is_pending
        return ConflictView(resource_type, public_id, *state, versions, principals, base, merge)

    def resolve(
        self,
        access: Access,
        resource_type: ResourceType,
        public_id: int,
        resolution: Resolution,
        condition: Condition = ANY,
        write_id: WriteId | None = None,
    ) -> StoredItem:
        """Store the version of a resolution on top of the current one, and delete the others; return it.

        CouchDB refuses one of two resolutions at the same time, since both are stored on the current version. The new
        revision names those that it supersedes. So if the process ends here, the resolver deletes them.

        Raises Conflict if there are other versions than the resolution names, Orphan if the project of the version to
        keep does not exist, PreconditionFailed, and as ``ItemService.replace`` does.
        """
        service, write_id = self._services[resource_type], write_id or WriteId()
        self._check_named(access, service, public_id)
        known: set[str] = set()

        def compose(item: StoredItem) -> Resolved:
            judgement = self._judge(resource_type, item.doc_id)
            if judgement is None or judgement.revisions[0] != item.revision:
                raise Conflict(STALE)
            _check_superseded(access, service, public_id, judgement, resolution)
            known.update(judgement.revisions)
            members = self._members(access, service, resolution, judgement.leaves)
            return Resolved(members, [leaf.item for leaf in judgement.leaves[1:]])

        change = service.items.resolve(public_id, compose, access.principal, condition, write_id)
        service.check_project_still_open(access, change, write_id, service.accepts_documents)
        with after_a_write():
            self._finish(service, change.after, known, access.principal)
        return change.after

    def _principals(self, resource_type: ResourceType, versions: Sequence[Leaf]) -> tuple[str | None, ...]:
        """Return the principals of versions.

        The revisions below them, which show their principals, are read from the tree, since the history may lag.
        """
        parents = dict.fromkeys(revision for leaf in versions for revision in leaf.lineage[1:2])
        below = self._leaves[resource_type].read_revisions(versions[0].item.doc_id, list(parents))
        written = [Version.of_leaf(leaf, resource_type.members) for leaf in (*versions, *below)]
        return tuple(version.updated_by for version in self._history.attributed(written)[: len(versions)])

    def _judge(self, resource_type: ResourceType, doc_id: str) -> Judgement | None:
        return self._judge_many(resource_type, [doc_id]).get(doc_id)

    def _check_named(self, access: Access, service: ItemService, public_id: int) -> None:
        """Raise unless a version of the item may be in the scope of the key.

        A conflict may be about the project of a document. The index knows that of the current version alone, so the
        versions of a document in conflict are read. Whether there is one is looked up for absent documents as well.
        """
        try:
            service.check_in_scope(access, public_id)
        except (Forbidden, NotFound):
            resource_type = service.items.resource_type
            if resource_type is not DOCUMENT or not self.list.has(resource_type, public_id):
                raise

    def _members(self, access: Access, service: ItemService, resolution: Resolution, leaves: Sequence[Leaf]) -> Fields:
        """Return the members of the new version, if the key may store them."""
        current, members = leaves[0].item, resolution.value
        if members is None:
            versions = (leaf.item for leaf in leaves if leaf.revision == resolution.keep)
            members = next((service.items.members(version) for version in versions), None)
        if members is None:
            raise Conflict(f"The version to keep is not there any more. {STALE}")
        try:
            return service.allowed(access, current, members, service.accepts_documents)
        except ValidationFailed as error:
            if resolution.value is None:
                raise Orphan from error
            faults = [Fault(each.location.replace("body.", "body.value."), each.reason) for each in error.faults]
            raise ValidationFailed(error.reason, faults=tuple(faults)) from error

    def _finish(self, service: ItemService, item: StoredItem, known: Collection[str], principal: str) -> None:
        """Delete the versions that ``item`` supersedes. Raises Conflict if others than ``known`` are there."""
        items, superseded = service.items, item.fields.get(MERGED_FROM, ())
        items.conflicts.supersede(item.doc_id, superseded, partial(items.tombstone, updated_by=principal))
        leaves = self._leaves[items.resource_type].read([item.doc_id]).get(item.doc_id, ())
        others = [leaf for leaf in leaves if item.revision not in leaf.lineage]
        if any(leaf.revision not in known for leaf in others):
            raise Conflict(ADDED)


def _check_superseded(
    access: Access, service: ItemService, public_id: int, judgement: Judgement, resolution: Resolution
) -> None:
    """Raise the refusal if the key may not resolve the conflict; Conflict unless the resolution names all versions."""
    if not _admits_all(access, service, judgement):
        raise service.refusal(access, public_id)
    if not {version.revision for version in judgement.versions} <= resolution.supersedes:
        raise Conflict(STALE)


def _admits_all(access: Access, service: ItemService, judgement: Judgement) -> bool:
    """Return whether a key may read all live leaves of an item. Of very many, not all were read."""
    if access.reach is None:
        return True
    leaves = judgement.leaves
    return len(leaves) == len(judgement.revisions) and all(service.admits(access, leaf.item) for leaf in leaves)


def _item(resource_type: ResourceType, public_id: int, base: Base) -> StoredItem:
    return StoredItem(resource_type.doc_id(public_id), base.revision, {**base.members, "id": public_id})

"""The judgement of an item's leaves: how they are merged, or why they are not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.merging.item_merge import ItemMerge
from app.store.items import Fields, ItemWrite
from app.store.leaves import Leaf

# The principal of merges.
MERGED_BY = "merge"


class Reason(StrEnum):
    """Why an item's versions are not merged; the API and the metrics use these words."""

    # Both changed the same lines or members.
    CLASH = "clash"
    # The version that both started from is not known.
    NO_BASE = "no_base"
    # The project of the merge does not exist here.
    ORPHAN = "orphan"
    # There are more leaves, or more merges of merges, than edits can explain.
    LOOP = "loop"


@dataclass(frozen=True)
class Base:
    """The stored version that all of the versions descend from, with its public members."""

    revision: str
    members: Fields


@dataclass(frozen=True)
class Writes:
    """The revisions to store: the merge on top of the winner, and once it is stored, tombstones on the others."""

    merge: ItemWrite | None = None
    tombstones: tuple[ItemWrite, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.merge or self.tombstones)


@dataclass(frozen=True)
class Judgement:
    """The live ``leaves`` of one item, CouchDB's winner first, and how they are reduced to one.

    ``revisions`` are those of all live leaves, and ``leaves`` the first MAX_LEAVES of them. ``versions`` are those
    leaves that are neither part of another nor equal to an earlier one; the hunks of ``merge`` are in their order.
    ``base`` is None if it is not one stored version, and ``merge`` if there is no base at all.
    """

    revisions: tuple[str, ...]
    leaves: tuple[Leaf, ...]
    versions: tuple[Leaf, ...]
    reason: Reason | None = None
    base: Base | None = None
    merge: ItemMerge | None = None
    writes: Writes = Writes()

    @property
    def is_pending(self) -> bool:
        """Whether there are several leaves that the resolver will reduce, or cannot judge yet."""
        return self.reason is None and len(self.revisions) > 1

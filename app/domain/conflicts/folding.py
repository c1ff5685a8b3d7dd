"""Merges revisions of one item, one after the other, each on the base that its ancestry gives; pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from app.domain.conflicts.ancestry import Ancestry, nearest_common
from app.domain.merging.item_merge import ItemMerge, merge_items
from app.domain.merging.text_merge import Clash, Clean, Hunk
from app.store.items import Fields

# Merges for one judgement. Bases that are merges of merges need more than one for each leaf.
MAX_MERGES = 200


class NoBase(Exception):
    """The revisions have no ancestor in common."""


class TooManyMerges(Exception):
    """More than MAX_MERGES would be needed."""


class Folding:
    """The merges of revisions of one item, in the members ``names``. All of it raises Unknown.

    A base that is a merge itself may clash in some members. Such a member is clean only if all versions are equal.
    """

    def __init__(self, names: Sequence[str], ancestry: Ancestry) -> None:
        self._names, self._ancestry = names, ancestry
        self._merges = 0

    def fold(self, revisions: Sequence[str], *, until_clash: bool = False) -> ItemMerge:
        """Return the merge of the first two revisions, of the result with the third, and so on.

        With ``until_clash``, end at the first merge that clashes. Raises NoBase and TooManyMerges.
        """
        merge = self._stored(revisions[0])
        for count, revision in enumerate(revisions[1:], 1):
            if until_clash and merge.value is None:
                break
            base = self.base([revisions[:count], [revision]])
            merge = self._join(base, [merge, self._stored(revision)])
        return merge

    def base(self, groups: Sequence[Collection[str]]) -> ItemMerge:
        """Return the base of groups of revisions: their nearest common ancestor, or the merge of several.

        Raises NoBase and TooManyMerges.
        """
        nearest = nearest_common(groups, self._ancestry)
        if not nearest:
            raise NoBase
        return self.fold(nearest)

    def join_all(self, revisions: Sequence[str], clashing: Collection[str] = ()) -> ItemMerge:
        """Return the merge of all revisions at once, on the base of all, to be shown to people.

        The members ``clashing`` are shown as a clash in any case. Raises NoBase and TooManyMerges.
        """
        base = self.base([[revision] for revision in revisions])
        sides = [self._stored(revision) for revision in revisions]
        merge = self._join(base, sides)
        forced = {
            name: _clash(base.members[name], sides, name) for name in clashing if isinstance(merge.members[name], Clean)
        }
        return ItemMerge({**merge.members, **forced})

    def _stored(self, revision: str) -> ItemMerge:
        members = self._ancestry.members(revision)
        return ItemMerge({name: Clean(members.get(name)) for name in self._names})

    def _join(self, base: ItemMerge, sides: Sequence[ItemMerge]) -> ItemMerge:
        self._merges += len(sides) - 1
        if self._merges > MAX_MERGES:
            raise TooManyMerges
        return ItemMerge({name: _join_member(name, base.members[name], sides) for name in self._names})


def _join_member(name: str, base: Clean | Clash, sides: Sequence[ItemMerge]) -> Clean | Clash:
    values = [_value(side.members[name]) for side in sides]
    clash = next((side.members[name] for side in sides if isinstance(side.members[name], Clash)), None)
    if clash:
        return clash
    if isinstance(base, Clash):
        return Clean(values[0]) if len(set(values)) == 1 else _clash(base, sides, name)
    return merge_items((name,), {name: base.value}, [{name: value} for value in values]).members[name]


def _clash(base: Clean | Clash, sides: Sequence[ItemMerge], name: str) -> Clash:
    return Clash((Hunk(_value(base), tuple(_value(side.members[name]) for side in sides)),))


def _value(outcome: Clean | Clash) -> Fields | None:
    return outcome.value if isinstance(outcome, Clean) else None

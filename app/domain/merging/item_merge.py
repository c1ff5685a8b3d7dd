"""The three-way merge of items, member by member."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.merging.text_merge import Clash, Clean, Hunk, merge_texts

# The members that are merged by lines; the others are merged as a whole.
LINE_MEMBERS = {"content", "description"}


@dataclass(frozen=True)
class ItemMerge:
    """The outcome for each member of an item, in the order of its type."""

    members: Mapping[str, Clean | Clash]

    @property
    def value(self) -> dict[str, Any] | None:
        """The merged members that are present, None if any member clashes."""
        clean = {name: outcome.value for name, outcome in self.members.items() if isinstance(outcome, Clean)}
        present = {name: value for name, value in clean.items() if value is not None}
        return present if len(clean) == len(self.members) else None


def merge_items(names: Sequence[str], base: Mapping[str, Any], versions: Sequence[Mapping[str, Any]]) -> ItemMerge:
    """Merge the changes that each of ``versions`` made to ``base``, in the members ``names`` and no others.

    All of ``versions`` must descend from ``base``. Each member is merged on its own; the order of ``versions`` makes
    no difference. The caller checks that the merged members are valid: a text may exceed its limit, and the project
    may be gone.
    """
    return ItemMerge(
        {name: _merge_member(name, base.get(name), [version.get(name) for version in versions]) for name in names}
    )


def _merge_member(name: str, base: Any, versions: Sequence[Any]) -> Clean | Clash:
    """Merge the values of one member; None stands for an absent one, which is never merged by lines."""
    changed = {value for value in versions if value != base}
    if len(changed) <= 1:
        return Clean(changed.pop() if changed else base)
    if name in LINE_MEMBERS and None not in (base, *versions):
        return merge_texts(base, versions)
    return Clash((Hunk(base, tuple(versions)),))

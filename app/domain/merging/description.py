"""Shows a merge of an item to clients: merged members, and the hunks of those that clash, as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.domain.merging.item_merge import ItemMerge
from app.domain.merging.text_merge import Clash, Hunk


def describe(merge: ItemMerge, labels: Sequence[str]) -> dict[str, Any]:
    """Return the state of each member, with its merged value, if it has one, or with its hunks.

    ``labels`` name the versions that were merged, in their order.
    """
    return {
        name: {"state": "clash", "hunks": [_hunk(hunk, labels) for hunk in outcome.hunks]}
        if isinstance(outcome, Clash)
        else {"state": "clean"} | ({} if outcome.value is None else {"value": outcome.value})
        for name, outcome in merge.members.items()
    }


def _hunk(hunk: Hunk, labels: Sequence[str]) -> dict[str, Any]:
    """Return merged text, or the parts of the base and of each version."""
    if hunk.merged is not None:
        return {"merged": hunk.merged}
    return {"base": hunk.base, "versions": dict(zip(labels, hunk.versions, strict=True))}

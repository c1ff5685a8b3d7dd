"""Merges in a batch: of the version that the client started from, the stored one and the client's own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.batches.operations import Operation
from app.domain.merging.item_merge import ItemMerge, merge_items
from app.errors import Conflict, Unavailable
from app.request_context import remaining
from app.store.items import Fields

# Texts exist whose merge takes seconds. No merge begins after this share of the time that the request has left at the
# start of a batch, so that those before it are stored in time.
TIME_SHARE = 0.3
# The versions of a merge, in the order of ``compare``.
LABELS = ("current", "value")


class Clash(Conflict):
    """A merge is left to the client."""

    reason = "Others have changed the same lines or members: merge shows them. Resolve the clash and retry."


class Merges:
    """The merges of one batch, within the time of its request. A merged value has at most ``max_value_bytes``."""

    def __init__(self, names: Sequence[str], max_value_bytes: int) -> None:
        self._names, self._max_value_bytes = names, max_value_bytes
        seconds = remaining()
        self._end = None if seconds is None else time.monotonic() + TIME_SHARE * seconds

    def apply(self, operation: Operation, stored: Fields) -> Fields | None:
        """Return the merged members, None if they are the stored ones. Raises Clash, Conflict and Unavailable."""
        if self._end is not None and time.monotonic() > self._end:
            raise Unavailable("There was no time left for this merge. Repeat it.")
        merged = compare(self._names, operation, stored).value
        if merged is None:
            raise Clash
        if merged == stored:
            return None
        if merged != operation.value and _size(merged) > self._max_value_bytes:
            raise Conflict(f"The merged value is larger than {self._max_value_bytes} bytes.")
        return merged


def compare(names: Sequence[str], operation: Operation, stored: Fields) -> ItemMerge:
    """Return the merge of a stored item's members with those of an operation."""
    return merge_items(names, operation.base or {}, [stored, operation.value or {}])


def _size(members: Mapping[str, Any]) -> int:
    return len(json.dumps(members, ensure_ascii=False).encode())

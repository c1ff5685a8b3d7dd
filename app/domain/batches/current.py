"""The current items beside the outcomes of a batch, for clients that worked offline."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.domain.access import Access
from app.domain.batches.merges import LABELS, Clash, compare
from app.domain.batches.operations import Current, Operation, Outcome
from app.domain.item_service import ItemService
from app.domain.listing.pages import ListQuery
from app.domain.merging.description import describe
from app.errors import Unavailable
from app.request_context import remaining

log = logging.getLogger("dreamscript.batches")

# Values and hunks in one answer, as JSON.
MAX_BYTES = 2 * 2**20
# Items in the first read, while their size is not known, and in each further one.
FIRST_READ_ITEMS = 20
MAX_READ_ITEMS = 500
# The outcomes that a client can resolve if it knows the current item.
STATUSES = frozenset({404, 409, 412})
# Seconds that a request must have left for one more comparison of texts.
COMPARISON_SECONDS = 1.5


def with_current(
    service: ItemService, access: Access, operations: Sequence[Operation], outcomes: Sequence[Outcome], *, for_all: bool
) -> list[Outcome]:
    """Return the outcomes with the items as they are now, where the key may read them.

    Merges and reserved creations always show the item that they met; ``for_all``, so does each outcome in STATUSES.
    If the database does not answer any more, the outcomes stay as they are, since the operations were carried out.
    """
    if not for_all and not any(operation.op == "merge" or operation.is_reserved for operation in operations):
        return list(outcomes)
    pairs = list(
        zip(operations, [_marked(service, *pair) for pair in zip(operations, outcomes, strict=True)], strict=True)
    )
    if f"{service.items.resource_type.database}:read" not in access.scopes:
        return [outcome for _, outcome in pairs]
    refused = [each.public_id for operation, each in pairs if each.public_id and _is_refused(operation, each, for_all)]
    try:
        items = _read(service, access, list(dict.fromkeys(refused))) if refused else {}
    except Unavailable:
        log.warning("the current items could not be read after a batch")
        items = {}
    composer = _Composer(service, items)
    return [
        composer.outcome(operation, each) if each.is_merged or _is_refused(operation, each, for_all) else each
        for operation, each in pairs
    ]


def _marked(service: ItemService, operation: Operation, outcome: Outcome) -> Outcome:
    """Return the outcome of a merge that found changes of others as a merged one."""
    if operation.op != "merge" or outcome.item is None:
        return outcome
    return replace(outcome, is_merged=service.items.members(outcome.item) != operation.value)


def _is_refused(operation: Operation, outcome: Outcome, for_all: bool) -> bool:
    """Return whether an operation was refused with a status that shows the current item."""
    is_shown = for_all or operation.op == "merge" or operation.is_reserved
    return is_shown and outcome.error is not None and outcome.error.status in STATUSES


class _Composer:
    """Adds items to outcomes, in their order, until values and hunks reach MAX_BYTES."""

    def __init__(self, service: ItemService, items: dict[int, Current]) -> None:
        self._resource_type, self._items = service.items.resource_type, items
        self._bytes_left = MAX_BYTES

    def outcome(self, operation: Operation, outcome: Outcome) -> Outcome:
        """Return an outcome with the item that it met, and with the hunks of a clash."""
        item = outcome.item
        if item is None:
            current = self._items.get(outcome.public_id or 0)
        else:
            current = Current(item.revision, self._resource_type.public(item.fields))
        if current is None or current.value is None:
            return replace(outcome, current=current)
        if not self._admits(current.value):
            return replace(outcome, current=replace(current, value=None))
        merge = self._clash(operation, current.value) if isinstance(outcome.error, Clash) else None
        return replace(outcome, current=current, merge=merge)

    def _clash(self, operation: Operation, value: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the clash with the current value, None if there is none by now, no room, or no time to compare."""
        seconds, members = remaining(), self._resource_type.members
        if seconds is not None and seconds < COMPARISON_SECONDS:
            return None
        merge = compare(members, operation, {name: value[name] for name in members if name in value})
        description = describe(merge, LABELS)
        return description if merge.value is None and self._admits(description) else None

    def _admits(self, value: object) -> bool:
        """Return whether a JSON value fits, and count it. Nothing fits any more after the first that did not."""
        if self._bytes_left >= 0:
            self._bytes_left -= len(json.dumps(value, ensure_ascii=False).encode())
        return self._bytes_left >= 0


def _read(service: ItemService, access: Access, public_ids: Sequence[int]) -> dict[int, Current]:
    """Return the items, deleted ones too, that are in the key's scope. Raises Unavailable.

    The tombstones of items out of scope are looked for as well: a deleted item is in no index, and its tombstone has
    its project. The requests are the same for items that are foreign and for those that never existed.
    """
    refused = service.refusals(access, public_ids)
    currents = _read_existing(service, access, [each for each in public_ids if each not in refused])
    tombstones = service.items.find_deleted([each for each in public_ids if each not in currents])
    for public_id, item in tombstones.items():
        if service.admits(access, item):
            currents[public_id] = Current(item.revision, is_deleted=True)
    return currents


def _read_existing(service: ItemService, access: Access, public_ids: Sequence[int]) -> dict[int, Current]:
    """Return existing items, with their values until these reach MAX_BYTES."""
    resource_type, currents = service.items.resource_type, dict[int, Current]()
    size, start, count = 0, 0, FIRST_READ_ITEMS
    while start < len(public_ids) and size <= MAX_BYTES:
        items = service.items.find_many(public_ids[start : start + count])
        for item in items.values():
            if service.admits(access, item):
                currents[item.public_id] = Current(item.revision, resource_type.public(item.fields))
            size += len(resource_type.body(item.fields))
        start += count
        count = max(1, min(MAX_READ_ITEMS, start * (MAX_BYTES - size) // max(size, 1)))
    return currents | dict(_revisions(service, public_ids[start:]))


def _revisions(service: ItemService, public_ids: Sequence[int]) -> Iterable[tuple[int, Current]]:
    """Yield existing items without their values."""
    query = ListQuery(limit=len(public_ids), ids=tuple(public_ids))
    rows = service.items.index.rows_by_id(query) if public_ids else ()
    return ((row.public_id, Current(row.revision)) for row in rows)

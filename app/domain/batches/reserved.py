"""Creations under ids that the client has reserved: an id may hold the item already, or a tombstone."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.access import Access
from app.domain.batches.operations import Outcome, Step
from app.domain.item_service import ItemService
from app.errors import Conflict, Unavailable

DELETED = "The item with this id was deleted."
OTHER_VALUE = "There is an item with this id and another value."


def find_deleted(service: ItemService, steps: Sequence[Step]) -> dict[int, Conflict]:
    """Return by place the refusals of creations whose reserved ids are deleted. Raises Unavailable.

    CouchDB would accept them: the item would exist until the service had deleted it again.
    """
    reserved = [step for step in steps if step.is_reserved]
    tombstones = service.items.find_deleted([step.public_id for step in reserved])
    return {step.place: Conflict(DELETED) for step in reserved if step.public_id in tombstones}


def find_created(service: ItemService, access: Access, steps: Sequence[Step]) -> dict[int, Outcome]:
    """Return by place the outcomes of the creations whose reserved ids hold an item: a success if it is the same item.

    So a creation can be repeated without an Idempotency-Key. A failed read is the outcome of these steps alone, since
    other steps have been written by then.
    """
    values, outcomes = {step.public_id: step.value for step in steps}, dict[int, Outcome]()
    try:
        for item in service.items.find_each(list(values)):
            is_same = service.items.members(item) == values[item.public_id] and service.admits(access, item)
            outcomes[item.public_id] = (
                Outcome(item.public_id, item) if is_same else Outcome(item.public_id, error=Conflict(OTHER_VALUE))
            )
    except Unavailable as error:
        return {step.place: Outcome(step.public_id, error=error) for step in steps}
    return {step.place: outcomes[step.public_id] for step in steps if step.public_id in outcomes}

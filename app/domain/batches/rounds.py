"""The steps of a batch, and the rounds of steps that are written together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from app.domain.batches.operations import Operation, Step
from app.domain.item_service import ItemService
from app.store.items import WriteId


def make_steps(service: ItemService, operations: Sequence[Operation], write_id: WriteId) -> Iterator[Step]:
    """Yield the well-formed operations, new items with the ids that are reserved for them."""
    new = [each for each in operations if each.op == "create" and each.fault is None and not each.is_reserved]
    missing = len(new) - len(write_id.ids)
    reserved = iter((*write_id.ids, *(service.reserve(missing) if missing > 0 else ())))
    for place, operation in enumerate(operations):
        if operation.fault is None:
            yield Step(place, operation.public_id or next(reserved), write_id.part(str(place)), operation)


def make_rounds(steps: Iterable[Step]) -> list[list[Step]]:
    """Return the steps so that no item is twice in a round and the steps of each item keep their order."""
    rounds: list[list[Step]] = []
    counts: dict[int, int] = {}
    for step in steps:
        number = counts[step.public_id] = counts.get(step.public_id, -1) + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(step)
    return rounds

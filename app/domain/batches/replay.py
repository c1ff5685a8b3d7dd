"""What an earlier run of a repeated batch has done already, found out and proven for all of its steps together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.domain.batches.operations import Step
from app.domain.items import Items
from app.errors import Conflict
from app.store.confirmed_writes import Result
from app.store.items import Change
from app.store.revision_history import created, made


def done_before(items: Items, steps: Sequence[Step], since: str) -> Iterator[tuple[Step, Change | None, Result]]:
    """Yield the steps that are done, each with what it has made and the revision of that, or why there is none.

    A creation that was taken back is there with a Conflict alone. What nobody has gone on from may be on fewer nodes
    than a quorum, and is written again on top of itself. Raises Unavailable.
    """
    found = list(_found(items, steps, since))
    stored = items.store_many([change.after.fields for _, change, is_current in found if change and is_current])
    # Others have gone on from these, or what undoes them has arrived by now.
    overtaken = [
        step for step, _, _ in found if isinstance(stored.get(items.resource_type.doc_id(step.public_id)), Conflict)
    ]
    if overtaken:
        places = {step.place for step in overtaken}
        again = [(step, change, False) for step, change, _ in _found(items, overtaken, since)]
        found = [each for each in found if each[0].place not in places] + again
    for step, change, is_current in found:
        if change is None:
            yield step, None, Conflict()
        else:
            yield (
                step,
                change,
                stored[items.resource_type.doc_id(step.public_id)] if is_current else change.after.revision,
            )


def _found(items: Items, steps: Sequence[Step], since: str) -> Iterator[tuple[Step, Change | None, bool]]:
    """Yield the steps that are done, or were taken back, with what each has made and whether that is current."""
    histories = items.histories(list({step.public_id for step in steps}), since)
    for step in steps:
        history = histories.get(step.public_id, ())
        try:
            change = (created if step.asked.op == "create" else made)(history, step.nonce)
        except Conflict:
            yield step, None, False
        else:
            if change:
                yield step, change, change.after is history[0] and not change.after.is_deleted

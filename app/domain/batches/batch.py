"""Many operations in one request, each as if it were alone and all of them in few requests to the database.

Operations on different items go together in one `_bulk_docs`; of those on one item, each goes after the one before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.domain.access import Access
from app.domain.batches.operations import Operation, Outcome, Rules, Step
from app.domain.batches.replay import done_before
from app.domain.batches.working_set import Latest
from app.domain.condition import stale
from app.domain.items import Items
from app.domain.merge_patch import merged
from app.errors import Conflict, NotFound, ServiceError, Unavailable, Unconfirmed
from app.store.confirmed_writes import Result
from app.store.items import StoredItem
from app.store.write_id import WriteId


def carry_out(
    rules: Rules,
    items: Items,
    access: Access,
    operations: Sequence[Operation],
    attempt: WriteId,
    alone: Sequence[str] = (),
) -> list[Outcome]:
    """Return an outcome for each operation, in their order; those named in ``alone`` are not done together.

    Nothing holds them together: some may be done and others not. Raises Unavailable if nothing was done at all.
    """
    outcomes = {
        place: Outcome(asked.public_id, error=asked.fault) for place, asked in enumerate(operations) if asked.fault
    }
    steps = list(_steps(operations, items, attempt))
    batch = _Batch(rules, items, access, attempt, alone, [step.public_id for step in steps])
    earlier = batch.done_before(steps)
    # An operation that was refused or undone is not tried again below what has come after it.
    last = {step.public_id: step.place for step in steps if step.place in earlier}
    outcomes |= {
        step.place: Outcome(step.public_id, error=Conflict("A later operation on it was done before."))
        for step in steps
        if step.place < last.get(step.public_id, 0) and step.asked.condition.is_open
    }
    outcomes |= earlier
    # What follows an operation that is to be tried again would otherwise come before it.
    unsettled: set[int] = set()
    for together in _rounds(step for step in steps if step.place not in outcomes):
        left = [step for step in together if step.public_id not in unsettled]
        try:
            while left:
                done, left = batch.carry_out_some(left)
                outcomes |= done
        except Unavailable:
            if not any(_may_be_done(outcome) for outcome in outcomes.values()):
                raise
        for step in together:
            outcome = outcomes.setdefault(step.place, Outcome(step.asked.public_id, error=Unavailable()))
            unsettled |= {step.public_id} if isinstance(outcome.error, Unavailable) else set()
    return [outcomes[place] for place in range(len(operations))]


def _may_be_done(outcome: Outcome) -> bool:
    return outcome.error is None or isinstance(outcome.error, Unconfirmed)


def _steps(operations: Sequence[Operation], items: Items, attempt: WriteId) -> Iterator[Step]:
    """Yield the operations that can be tried, new items with the ids that were reserved for them."""
    lacking = sum(asked.op == "create" and asked.fault is None for asked in operations) - len(attempt.ids)
    reserved = iter((*attempt.ids, *(items.reserve(lacking) if lacking > 0 else ())))
    for place, asked in enumerate(operations):
        if asked.fault is None:
            public_id = asked.public_id or next(reserved)
            yield Step(place, public_id, attempt.part(str(place)).nonce, asked)


def _rounds(steps: Iterable[Step]) -> list[list[Step]]:
    """Return the steps so that no item is twice in a round, and each item's steps keep their order."""
    rounds: list[list[Step]] = []
    met: dict[int, int] = {}
    for step in steps:
        number = met[step.public_id] = met.get(step.public_id, -1) + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(step)
    return rounds


class _Batch:
    """What the rounds of one batch have in common."""

    def __init__(
        self,
        rules: Rules,
        items: Items,
        access: Access,
        attempt: WriteId,
        alone: Sequence[str],
        public_ids: Sequence[int],
    ) -> None:
        self._rules, self._items, self._access = rules, items, access
        self._since, self._alone = attempt.since, alone
        self._latest = Latest(items, public_ids)
        # What is said of those items that are out of reach; None where that was asked for and they are not.
        self._refusals: dict[int, ServiceError | None] = {}

    def done_before(self, steps: Sequence[Step]) -> dict[int, Outcome]:
        """Return the outcomes of those steps that an earlier run of the same request has done, by place."""
        if self._since is None or not steps:
            return {}
        done = list(done_before(self._items, steps, self._since))
        takes = self._rules.takes(self._access, [change.after.fields for _, change, _ in done if change])
        return {
            step.place: self._outcome(
                step, change and change.before, result, change.after.fields if change else {}, takes
            )
            for step, change, result in done
        }

    def carry_out_some(self, steps: list[Step]) -> tuple[dict[int, Outcome], list[Step]]:
        """Return the outcomes of steps on different items, by place, and the steps for which there was no room yet."""
        self._refuse([step.public_id for step in steps if step.asked.op != "create"])
        read = [place for place, step in enumerate(steps) if self._is_read(step)]
        room = self._latest.read([steps[place].public_id for place in read])
        end = read[room] if room < len(read) else len(steps)
        return self._done_together(steps[:end]), steps[end:]

    def _refuse(self, public_ids: Sequence[int]) -> None:
        """Ask which items are out of reach, before anything of them is read."""
        if asked := [public_id for public_id in public_ids if public_id not in self._refusals]:
            self._refusals |= dict.fromkeys(asked) | self._rules.refusals(self._access, asked)

    def _is_read(self, step: Step) -> bool:
        return step.asked.op not in ("create", *self._alone) and self._refusals[step.public_id] is None

    def _done_together(self, steps: Sequence[Step]) -> dict[int, Outcome]:
        found = {step.public_id: None if step.asked.op == "create" else self._latest[step.public_id] for step in steps}
        outcomes: dict[int, Outcome] = {}
        written: dict[int, dict[str, Any]] = {}
        takes = self._rules.takes(self._access, [step.asked.value or {} for step in steps])
        for step in steps:
            try:
                if refusal := self._refusals.get(step.public_id):
                    raise refusal
                if step.asked.op in self._alone:
                    outcomes[step.place] = self._done_alone(step)
                else:
                    written[step.place] = self._composed(step, found[step.public_id], takes)
            except ServiceError as error:
                outcomes[step.place] = Outcome(step.asked.public_id, error=error)
        stored = self._items.store_many(list(written.values()))
        # What was looked at before the write is looked at again after it.
        takes = self._rules.takes(self._access, [each for each in written.values() if not each.get("_deleted")])
        for step in steps:
            now = None
            if document := written.get(step.place):
                result = stored[document["_id"]]
                outcome = outcomes[step.place] = self._outcome(step, found[step.public_id], result, document, takes)
                now = StoredItem(result, document) if isinstance(result, str) and not outcome.error else None
            self._latest.settle(step.public_id, now)
        # What an earlier run sent may have arrived since it was looked for.
        late = self._arrived_late([step for step in steps if outcomes[step.place].error])
        lost = {
            step.place
            for step in steps
            if isinstance(stored.get(self._items.resource_type.doc_id(step.public_id)), Conflict)
        }
        again = [step for step in steps if step.place in lost - late.keys() and found[step.public_id]]
        for step in steps:
            if step.asked.op == "create" and step.place in lost - late.keys():
                self._items.report_taken(step.public_id)
        return outcomes | late | {step.place: self._again(step) for step in again}

    def _arrived_late(self, refused: Sequence[Step]) -> dict[int, Outcome]:
        try:
            return self.done_before(refused)
        except Unavailable as error:
            return {step.place: Outcome(step.asked.public_id, error=error) for step in refused}

    def _again(self, step: Step) -> Outcome:
        """Return what becomes of a step that others were faster than."""
        try:
            if not step.asked.condition.is_open:
                found = self._items.get(step.public_id)
                self._rules.require_still_reached(self._access, found)
                raise stale(found)
            return self._done_alone(step)
        except ServiceError as error:
            return Outcome(step.asked.public_id, error=error)

    def _done_alone(self, step: Step) -> Outcome:
        """Do what is not done together."""
        asked, rules = step.asked, self._rules
        attempt = WriteId((step.public_id,), step.nonce, self._since)
        value = asked.value or {}
        if asked.op == "delete":
            rules.delete(self._access, step.public_id, asked.condition, attempt)
            return Outcome(step.public_id)
        change = rules.replace if asked.op == "replace" else rules.patch
        return Outcome(step.public_id, change(self._access, step.public_id, value, asked.condition, attempt))

    def _composed(self, step: Step, found: StoredItem | None, takes: Any) -> dict[str, Any]:
        """Return the document to write. Raises what speaks against it."""
        asked, value = step.asked, step.asked.value or {}
        if asked.op == "create":
            self._rules.require_possible(self._access, None, value, takes)
            return {**self._items.compose(step.public_id, None, value), "nonce": step.nonce}
        if found is None:
            raise NotFound(f"There is no {self._items.resource_type.name} {step.public_id}.")
        self._rules.require_still_reached(self._access, found)
        if found.fields.get("nonce") == step.nonce:
            # What an earlier run sent has arrived since it was looked for, and is found when it is looked for again.
            raise Conflict
        revision = asked.condition.revision(found.revision)
        if revision is None:
            raise stale(found)
        fields = None
        if asked.op != "delete":
            fields = value if asked.op == "replace" else merged(self._items.members(found), value)
            self._rules.require_possible(self._access, found, fields, takes)
        return {**self._items.compose(step.public_id, found, fields), "_rev": revision, "nonce": step.nonce}

    def _outcome(
        self, step: Step, before: StoredItem | None, result: Result, document: Mapping[str, Any], takes: Any
    ) -> Outcome:
        try:
            if isinstance(result, ServiceError):
                raise result
            if before is not None:
                self._rules.require_still_reached(self._access, before)
            if step.asked.op == "delete":
                return Outcome(step.public_id)
            after = StoredItem(result, document)
            self._rules.require_arrived(self._access, before, after, takes)
            return Outcome(step.public_id, after)
        except ServiceError as error:
            return Outcome(step.asked.public_id, error=error)

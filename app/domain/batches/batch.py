"""Many operations in one request: each as if it were alone, and all of them in few requests to the database.

Operations on different items are written together. Those on one item are written one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from app.domain.access import Access
from app.domain.batches.merges import Merges
from app.domain.batches.operations import Operation, Outcome, Step
from app.domain.batches.reserved import find_created, find_deleted
from app.domain.batches.rounds import make_rounds, make_steps
from app.domain.batches.working_set import WorkingSet
from app.domain.item_service import AcceptsDocuments, ItemService, Merge
from app.errors import Conflict, OutcomeUnknown, ServiceError, Unavailable, Unconfirmed, ValidationFailed
from app.store.item_store import LostRace
from app.store.items import Change, Fields, StoredItem, Update, WriteId
from app.store.revision_history import Undone

# The repetition of a creation under a reserved id may get these errors although the first request succeeded: the item
# exists, or its project is gone by now.
Refusal = Conflict | ValidationFailed


def carry_out(
    service: ItemService,
    access: Access,
    operations: Sequence[Operation],
    write_id: WriteId,
    max_value_bytes: int,
    alone: Sequence[str] = (),
) -> list[Outcome]:
    """Return an outcome for each operation, in order. Operations named in ``alone`` are carried out one by one.

    ``max_value_bytes`` limits merged values. A batch is not atomic. Raises Unavailable if nothing was carried out.
    """
    outcomes = {place: Outcome(each.public_id, error=each.fault) for place, each in enumerate(operations) if each.fault}
    steps = list(make_steps(service, operations, write_id))
    batch = _Batch(service, access, alone, steps, Merges(service.items.resource_type.members, max_value_bytes))
    outcomes |= batch.find_done(steps)
    # Items whose step failed with 503: a later step must not come before its repetition.
    blocked: set[int] = set()
    for steps_of_round in make_rounds(step for step in steps if step.place not in outcomes):
        pending = [step for step in steps_of_round if step.public_id not in blocked]
        try:
            while pending:
                completed, pending = batch.carry_out_some(pending)
                outcomes |= completed
        except Unavailable:
            if not any(_may_be_done(outcome) for outcome in outcomes.values()):
                raise
        for step in steps_of_round:
            outcome = outcomes.setdefault(step.place, Outcome(step.operation.public_id, error=Unavailable()))
            blocked |= {step.public_id} if isinstance(outcome.error, Unavailable) else set()
    return [outcomes[place] for place in range(len(operations))]


def _may_be_done(outcome: Outcome) -> bool:
    return outcome.error is None or isinstance(outcome.error, Unconfirmed)


class _Batch:
    """The state that the rounds of one batch share."""

    def __init__(
        self, service: ItemService, access: Access, alone: Sequence[str], steps: Sequence[Step], merges: Merges
    ) -> None:
        self._service, self._items, self._access, self._alone = service, service.items, access, alone
        self._merges = merges
        self._working_set = WorkingSet(service.items, [step.public_id for step in steps])
        # The errors for items out of scope; None for items that were checked and are in scope.
        self._refusals: dict[int, ServiceError | None] = {}

    def find_done(self, steps: Sequence[Step]) -> dict[int, Outcome]:
        """Return by place the outcomes of the steps that an earlier run has finished, or may have finished."""
        write_ids: dict[int, list[WriteId]] = {}
        for step in steps:
            write_ids.setdefault(step.public_id, []).append(step.write_id)
        results = self._items.find_done(write_ids)
        changed_ids = {step.public_id for step in steps if isinstance(results.get(step.write_id), Change)}
        known: dict[int, Change | ServiceError] = {}
        for step in steps:
            result = results.get(step.write_id)
            is_new = isinstance(result, Undone) and step.operation.op != "create"
            # A step that runs alone looks for its own earlier run.
            is_open = isinstance(result, OutcomeUnknown) and self._is_alone(step) and step.public_id not in changed_ids
            if result and not is_new and not is_open:
                known[step.place] = result
        return self._outcomes([step for step in steps if step.place in known], known)

    def carry_out_some(self, steps: list[Step]) -> tuple[dict[int, Outcome], list[Step]]:
        """Return by place the outcomes of steps on different items, and those steps that did not fit into memory."""
        self._check_scope([step.public_id for step in steps if step.operation.op != "create"])
        to_read = [place for place, step in enumerate(steps) if self._is_read(step)]
        count = self._working_set.read([steps[place].public_id for place in to_read])
        end = to_read[count] if count < len(to_read) else len(steps)
        return self._carry_out(steps[:end]), steps[end:]

    def _check_scope(self, public_ids: Sequence[int]) -> None:
        """Find out which items are out of scope before any of them is read."""
        if unchecked := [public_id for public_id in public_ids if public_id not in self._refusals]:
            self._refusals |= dict.fromkeys(unchecked) | self._service.refusals(self._access, unchecked)

    def _is_alone(self, step: Step) -> bool:
        return step.operation.op in self._alone

    def _is_read(self, step: Step) -> bool:
        return step.operation.op != "create" and not self._is_alone(step) and self._refusals[step.public_id] is None

    def _carry_out(self, steps: Sequence[Step]) -> dict[int, Outcome]:
        """Return by place the outcomes of steps on different items, which are written together where possible."""
        refused: dict[int, Change | ServiceError] = {**find_deleted(self._service, steps), **self._out_of_scope(steps)}
        accepted = [step for step in steps if step.place not in refused]
        together = [step for step in accepted if not self._is_alone(step)]
        results = refused | self._write_together(together)
        outcomes = self._outcomes([step for step in steps if step.place in results], results)
        self._record(together, results, outcomes)
        outcomes |= self._carry_out_again(accepted, results)
        refused_creations = [step for step in together if step.is_reserved and isinstance(results[step.place], Refusal)]
        return outcomes | find_created(self._service, self._access, refused_creations)

    def _out_of_scope(self, steps: Sequence[Step]) -> dict[int, ServiceError]:
        """Return by place the errors for items out of scope."""
        errors: dict[int, ServiceError] = {}
        for step in steps:
            if step.operation.op == "create":
                # Earlier steps may have looked for the item in vain.
                self._refusals.pop(step.public_id, None)
            elif error := self._refusals.get(step.public_id):
                errors[step.place] = error
        return errors

    def _record(
        self, steps: Sequence[Step], results: Mapping[int, Change | ServiceError], outcomes: Mapping[int, Outcome]
    ) -> None:
        """Record the items as these steps left them; after a refusal the state of an item is unknown."""
        for step in steps:
            result = results[step.place]
            is_known = isinstance(result, Change) and not outcomes[step.place].error
            self._working_set.record(step.public_id, result.after if isinstance(result, Change) and is_known else None)

    def _carry_out_again(
        self, steps: Sequence[Step], results: Mapping[int, Change | ServiceError]
    ) -> dict[int, Outcome]:
        """Return by place the outcomes of the steps that run alone, or now alone since others came first."""
        outcomes: dict[int, Outcome] = {}
        for step in steps:
            has_lost = isinstance(results.get(step.place), LostRace)
            if step.operation.op != "create" and (has_lost or self._is_alone(step)):
                outcomes[step.place] = self._carry_out_alone(step)
            elif has_lost and not step.is_reserved:
                self._items.log_taken(step.public_id)
        return outcomes

    def _write_together(self, steps: Sequence[Step]) -> dict[int, Change | ServiceError]:
        accepts_documents = self._service.preload_projects(self._access, [step.value for step in steps])
        updates = {step.place: self._update(step, accepts_documents) for step in steps}
        items = {
            updates[step.place].doc_id: None if step.operation.op == "create" else self._working_set[step.public_id]
            for step in steps
        }
        results = self._items.update_many(list(updates.values()), items)
        return {place: results[update.doc_id] for place, update in updates.items()}

    def _update(self, step: Step, accepts_documents: AcceptsDocuments) -> Update:
        access, service, operation, value = self._access, self._service, step.operation, step.value

        def check(item: StoredItem) -> None:
            service.check_still_in_scope(access, item)
            service.check_replaceable(access, item, operation.condition)

        def create() -> Fields:
            return service.allowed(access, None, value, accepts_documents)

        def compose(item: StoredItem) -> Fields | None:
            service.check_replaceable(access, item, operation.condition)
            if operation.op == "merge":
                fields = service.merged(access, self._merge(operation), operation.condition, item)
            else:
                fields = value if operation.op == "replace" else service.patched(item, value)
            return None if fields is None else service.allowed(access, item, fields, accepts_documents)

        if operation.op == "create":
            return self._items.creation(step.public_id, create, access.principal, step.write_id)
        terms = access.principal, operation.condition, step.write_id
        if operation.op == "delete":
            return self._items.deletion(step.public_id, check, *terms)
        return self._items.replacement(step.public_id, compose, *terms)

    def _merge(self, operation: Operation) -> Merge:
        return partial(self._merges.apply, operation)

    def _carry_out_alone(self, step: Step) -> Outcome:
        """Carry out a step by itself, or again after others came first."""
        service, operation = self._service, step.operation
        self._working_set.record(step.public_id, None)
        try:
            if operation.op == "delete":
                service.delete(self._access, step.public_id, operation.condition, step.write_id)
                return Outcome(step.public_id)
            target = self._access, step.public_id
            if operation.op == "merge":
                item = service.merge(*target, self._merge(operation), operation.condition, step.write_id)
            else:
                write = service.replace if operation.op == "replace" else service.patch
                item = write(*target, step.value, operation.condition, step.write_id)
            return Outcome(step.public_id, item)
        except ServiceError as error:
            refusal = Outcome(operation.public_id, error=error)
        if not self._is_alone(step) or isinstance(refusal.error, Unavailable):
            return refusal
        # The deletion of an earlier run may have arrived since the first look.
        try:
            return self.find_done([step]).get(step.place, refusal)
        except Unavailable as error:
            return Outcome(operation.public_id, error=error)

    def _outcomes(self, steps: Sequence[Step], results: dict[int, Change | ServiceError]) -> dict[int, Outcome]:
        """Return by place the outcomes of results; the projects of all documents are checked again after the write."""
        items = [result.after for result in results.values() if isinstance(result, Change)]
        written = [item.fields for item in items if not item.is_deleted]
        accepts_documents = self._service.preload_projects(self._access, written)
        return {step.place: self._outcome(step, results[step.place], accepts_documents) for step in steps}

    def _outcome(self, step: Step, result: Change | ServiceError, accepts_documents: AcceptsDocuments) -> Outcome:
        try:
            if isinstance(result, ServiceError):
                raise result
            is_creation = step.operation.op == "create"
            change = Change(None, result.after) if is_creation else result
            if change.before is not None:
                self._service.check_still_in_scope(self._access, change.before)
            if change.after.is_deleted:
                return Outcome(step.public_id)
            self._service.check_project_still_open(self._access, change, step.write_id, accepts_documents)
            return Outcome(step.public_id, change.after)
        except ServiceError as error:
            return Outcome(step.operation.public_id, error=error)

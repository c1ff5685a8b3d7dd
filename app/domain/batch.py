"""Many operations in one request, each as if it were alone and all of them in few requests to the database.

Operations on different items go together in one `_bulk_docs`; of those on one item, each goes after the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from app.domain.access import Access
from app.domain.attempt import Attempt
from app.domain.collection import Collection, Stored, merged, stale
from app.domain.condition import ANY, Condition
from app.errors import Conflict, NotFound, ServiceError, Unavailable


@dataclass(frozen=True)
class Operation:
    """``op`` is create, replace, patch or delete; ``fault`` is what was found wrong with it when it was read."""

    op: str
    public_id: int | None = None
    condition: Condition = ANY
    value: Mapping[str, Any] | None = None
    fault: ServiceError | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of an operation: the item as it is now, None where it is gone, or why nothing became of it."""

    public_id: int | None
    item: Stored | None = None
    error: ServiceError | None = None


@dataclass(frozen=True)
class Step:
    """An operation at its place in the request; its revision is known by ``nonce``."""

    place: int
    public_id: int
    nonce: str
    asked: Operation


class Rules(Protocol):
    """What the items of one kind demand, of which a batch asks for many at once what the single ones ask for one."""

    def refusals(self, access: Access, public_ids: Sequence[int], /) -> dict[int, ServiceError]:
        """Return what to say of the items that the key does not reach."""

    def takes(self) -> Any:
        """Return what ``require_possible`` and ``require_arrived`` are to look with."""

    def require_still_reached(self, access: Access, found: Stored, /) -> None:
        """Raise if an item left the key's reach."""

    def require_possible(self, access: Access, found: Stored | None, fields: Mapping[str, Any], takes: Any, /) -> None:
        """Raise unless ``found``, or nothing, may become this."""

    def require_arrived(self, access: Access, before: Stored | None, after: Stored, takes: Any, /) -> None:
        """Undo what became impossible meanwhile, and raise."""

    def replace(
        self, access: Access, public_id: int, fields: Mapping[str, Any], condition: Condition, attempt: Attempt, /
    ) -> Stored:
        """Replace one item."""

    def patch(
        self, access: Access, public_id: int, patch: Mapping[str, Any], condition: Condition, attempt: Attempt, /
    ) -> Stored:
        """Patch one item."""

    def delete(self, access: Access, public_id: int, condition: Condition, /) -> None:
        """Delete one item."""


def carry_out(
    rules: Rules,
    items: Collection,
    access: Access,
    operations: Sequence[Operation],
    attempt: Attempt,
    alone: Sequence[str] = (),
) -> list[Outcome]:
    """Return an outcome for each operation, in their order; those named in ``alone`` are not done together.

    Nothing holds them together: some may be done and others not. Raises Unavailable if nothing was done at all.
    """
    outcomes = {
        place: Outcome(asked.public_id, error=asked.fault) for place, asked in enumerate(operations) if asked.fault
    }
    batch = _Batch(rules, items, access, attempt, alone)
    for steps in _rounds(_steps(operations, items, attempt)):
        try:
            outcomes.update(batch.carry_out(steps))
        except Unavailable as error:
            if not any(outcome.error is None for outcome in outcomes.values()):
                raise
            outcomes.update({step.place: Outcome(step.asked.public_id, error=error) for step in steps})
    return [outcomes[place] for place in range(len(operations))]


def _steps(operations: Sequence[Operation], items: Collection, attempt: Attempt) -> Iterator[Step]:
    """Yield the operations that can be tried, new items with the ids that were reserved for them."""
    reserved = iter(attempt.ids)
    for place, asked in enumerate(operations):
        if asked.fault is None:
            public_id = asked.public_id or next(reserved, 0) or items.reserve()
            nonce = sha256(f"{attempt.nonce} {place}".encode()).hexdigest()[:32]
            yield Step(place, public_id, nonce, asked)


def _rounds(steps: Iterator[Step]) -> list[list[Step]]:
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

    def __init__(self, rules: Rules, items: Collection, access: Access, attempt: Attempt, alone: Sequence[str]) -> None:
        self._rules, self._items, self._access = rules, items, access
        self._resumed, self._alone = attempt.resumed, alone

    def carry_out(self, steps: Sequence[Step]) -> dict[int, Outcome]:
        """Return the outcomes of steps on different items, by place."""
        existing = [step.public_id for step in steps if step.asked.op != "create"]
        refusals = self._rules.refusals(self._access, existing) if existing else {}
        found = self._items.find_many([step.public_id for step in steps] if self._resumed else existing)
        outcomes: dict[int, Outcome] = {}
        written: dict[int, dict[str, Any]] = {}
        takes = self._rules.takes()
        for step in steps:
            try:
                if step.public_id in refusals:
                    raise refusals[step.public_id]
                before = found.get(step.public_id)
                outcome = self._done_before(step, before, takes) or self._done_alone(step)
                if outcome:
                    outcomes[step.place] = outcome
                else:
                    written[step.place] = self._composed(step, before, takes)
            except ServiceError as error:
                outcomes[step.place] = Outcome(step.asked.public_id, error=error)
        stored = self._items.store_many(list(written.values()))
        # What was looked at before the write is looked at again after it.
        takes = self._rules.takes()
        for step in steps:
            if step.place in written:
                outcomes[step.place] = self._stored(step, found.get(step.public_id), written[step.place], stored, takes)
        return outcomes

    def _done_before(self, step: Step, found: Stored | None, takes: Any) -> Outcome | None:
        """Return what an earlier run of the same request has made of this step."""
        if not self._resumed or found is None:
            return None
        is_current = found.fields.get("nonce") == step.nonce
        made = found if is_current else self._items.made(step.public_id, step.nonce)
        if made and step.asked.op == "create":
            # That run may have ended before it looked again.
            self._rules.require_arrived(self._access, None, made, takes)
        return Outcome(step.public_id, made) if made else None

    def _done_alone(self, step: Step) -> Outcome | None:
        """Do what is not done together."""
        return self._alone_now(step) if step.asked.op in self._alone else None

    def _alone_now(self, step: Step) -> Outcome:
        asked, rules = step.asked, self._rules
        if asked.op == "delete":
            rules.delete(self._access, step.public_id, asked.condition)
            return Outcome(step.public_id)
        change = rules.replace if asked.op == "replace" else rules.patch
        attempt = Attempt(nonce=step.nonce)
        item = change(self._access, step.public_id, asked.value or {}, asked.condition, attempt)
        return Outcome(step.public_id, item)

    def _composed(self, step: Step, found: Stored | None, takes: Any) -> dict[str, Any]:
        """Return the document to write. Raises what speaks against it."""
        asked, value = step.asked, step.asked.value or {}
        if asked.op == "create":
            self._rules.require_possible(self._access, None, value, takes)
            return {**self._items.compose(step.public_id, None, value), "nonce": step.nonce}
        if found is None:
            raise NotFound(f"There is no {self._items.kind.name} {step.public_id}.")
        self._rules.require_still_reached(self._access, found)
        revision = asked.condition.revision(found.revision)
        if revision is None:
            raise stale(found)
        fields = None
        if asked.op != "delete":
            fields = value if asked.op == "replace" else merged(self._items.members(found), value)
            self._rules.require_possible(self._access, found, fields, takes)
        return {**self._items.compose(step.public_id, found, fields), "_rev": revision, "nonce": step.nonce}

    def _stored(
        self,
        step: Step,
        before: Stored | None,
        document: Mapping[str, Any],
        stored: Mapping[str, str | ServiceError],
        takes: Any,
    ) -> Outcome:
        """Return what became of a document that was written together with others."""
        result = stored[document["_id"]]
        try:
            if isinstance(result, Conflict) and before is not None:
                if not step.asked.condition.is_open:
                    raise stale(self._items.get(step.public_id))
                return self._alone_now(step)
            if isinstance(result, ServiceError):
                raise result
            if step.asked.op == "delete":
                return Outcome(step.public_id)
            after = Stored(result, document)
            self._rules.require_arrived(self._access, before, after, takes)
            return Outcome(step.public_id, after)
        except ServiceError as error:
            return Outcome(step.asked.public_id, error=error)

"""Batches over HTTP: each operation is read as if it were alone, and each outcome says what its answer would have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError

from app.domain.batches.operations import Operation, Outcome
from app.domain.condition import ANY, Condition
from app.errors import Fault, ServiceError, TooLarge, ValidationFailed
from app.http import arguments, conditional, errors
from app.schemas.batches import OperationSchema

# So much is told of what is wrong with an operation, since the outcomes of a thousand are kept in one document.
MOST_FAULTS = 3
LONGEST_PLACE = 40
# The status of each operation's success.
DONE = {"create": 201, "replace": 200, "patch": 200, "delete": 204}


class Reader:
    """Reads operations on one kind of item, whose values are shaped as ``new`` and ``patch`` say."""

    def __init__(self, new: type[Schema], patch: type[Schema], max_bytes: int) -> None:
        whole, partial = new(), patch()
        self._schemas = {"create": whole, "replace": whole, "patch": partial}
        self._operations, self._ids = OperationSchema(), OperationSchema(only=["id"])
        self._max_bytes = max_bytes

    def read(self, operations: Sequence[object]) -> list[Operation]:
        """Return the operations; what is wrong with one is its own fault, also if it is none at all."""
        return [self._operation(asked) for asked in operations]

    def _operation(self, asked: object) -> Operation:
        if not isinstance(asked, dict):
            return Operation("", fault=ValidationFailed("An operation is an object."))
        try:
            found = arguments.load(self._operations, asked, "")
            return Operation(found["op"], found.get("id"), _condition(found), self._value(found))
        except ServiceError as fault:
            return Operation("", self._id(asked), fault=fault)

    def _id(self, asked: Mapping[str, Any]) -> int | None:
        """Return the id of an operation that may be wrong in any way, if that is one."""
        try:
            found: int | None = self._ids.load(asked, unknown=EXCLUDE).get("id")
        except ValidationError:
            return None
        return found

    def _value(self, asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
        op, schema = asked["op"], self._schemas.get(asked["op"])
        for member, is_needed in (("id", op != "create"), ("value", schema is not None)):
            if (member in asked) != is_needed:
                raise _fault(member, "Missing data for required field." if is_needed else f"Not for {op}.")
        if schema is None:
            return None
        if len(json.dumps(asked["value"], ensure_ascii=False).encode()) > self._max_bytes:
            raise TooLarge(f"The value is larger than {self._max_bytes} bytes.")
        return arguments.load(schema, asked["value"], "value")


def _condition(asked: Mapping[str, Any]) -> Condition:
    if "if_match" not in asked:
        return ANY
    if asked["op"] == "create":
        raise _fault("if_match", "Not for create.")
    # A tag may come as the header has it, or as what is between its quotes.
    return Condition(conditional.named(asked["if_match"]))


def _fault(member: str, reason: str) -> ValidationFailed:
    return ValidationFailed(faults=(Fault(member, reason),))


def shown(asked: Operation, outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a JSON object."""
    named = {} if outcome.public_id is None else {"id": outcome.public_id}
    if outcome.error is not None:
        error = outcome.error
        tag = {"etag": error.headers["ETag"]} if "ETag" in error.headers else {}
        told = {"error": error.code, "reason": _reason(asked, error)}
        return {"status": errors.STATUS[error.code], **named, **tag, **told}
    tag = {} if outcome.item is None else {"etag": conditional.headers(outcome.item.revision)["ETag"]}
    return {"status": DONE[asked.op], **named, **tag}


def _reason(asked: Operation, error: ServiceError) -> str:
    """Return why nothing became of an operation: the first faults, and whether there are more."""
    told = [f"{_place(asked, fault)[:LONGEST_PLACE]}: {fault.reason}" for fault in error.faults[:MOST_FAULTS]]
    more = [arguments.MORE] if len(error.faults) > MOST_FAULTS else []
    return "; ".join([*told, *more]) or error.reason


def _place(asked: Operation, fault: Fault) -> str:
    """Return where a fault is; one that was found only after the operation was read calls its value the body."""
    if asked.fault or not fault.location.startswith("body."):
        return fault.location
    return f"value.{fault.location.removeprefix('body.')}"


def is_passing(outcomes: Sequence[Outcome]) -> bool:
    """Tell whether some operation is worth another try, so that this is no answer to keep."""
    return any(outcome.error and errors.STATUS[outcome.error.code] >= 500 for outcome in outcomes)

"""Batches over HTTP: each operation is read as if it were alone, and each outcome says what its answer would have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema

from app.domain.condition import ANY, Condition
from app.domain.operations import Operation, Outcome
from app.errors import Fault, ServiceError, TooLarge, ValidationFailed
from app.http import arguments, conditional, errors

# The status of each operation's success.
DONE = {"create": 201, "replace": 200, "patch": 200, "delete": 204}


class Reader:
    """Reads operations on one kind of item, whose values are shaped as ``new`` and ``patch`` say."""

    def __init__(self, new: type[Schema], patch: type[Schema], max_bytes: int) -> None:
        whole, partial = new(), patch()
        self._schemas = {"create": whole, "replace": whole, "patch": partial}
        self._max_bytes = max_bytes

    def read(self, operations: Sequence[Mapping[str, Any]]) -> list[Operation]:
        """Return the operations; what is wrong with one is its own fault."""
        return [self._operation(asked) for asked in operations]

    def _operation(self, asked: Mapping[str, Any]) -> Operation:
        try:
            value = self._value(asked)
            return Operation(asked["op"], asked.get("id"), _condition(asked), value)
        except ServiceError as fault:
            return Operation(asked["op"], asked.get("id"), fault=fault)

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
    text = asked.get("if_match")
    if text is None:
        return ANY
    if asked["op"] == "create":
        raise _fault("if_match", "Not for create.")
    # A tag may come as the header has it, or as what is between its quotes.
    return Condition(frozenset(conditional.tags(text) or {text.strip()}))


def _fault(member: str, reason: str) -> ValidationFailed:
    return ValidationFailed(faults=(Fault(member, reason),))


def shown(asked: Operation, outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a JSON object."""
    named = {} if outcome.public_id is None else {"id": outcome.public_id}
    if outcome.error is not None:
        error = outcome.error
        reason = "; ".join(f"{fault.location}: {fault.reason}" for fault in error.faults) or error.reason
        tag = {"etag": error.headers["ETag"]} if "ETag" in error.headers else {}
        return {"status": errors.STATUS[error.code], **named, **tag, "error": error.code, "reason": reason}
    tag = {} if outcome.item is None else {"etag": conditional.headers(outcome.item.revision)["ETag"]}
    return {"status": DONE[asked.op], **named, **tag}


def is_passing(outcomes: Sequence[Outcome]) -> bool:
    """Tell whether some operation is worth another try, so that this is no answer to keep."""
    return any(outcome.error and errors.STATUS[outcome.error.code] >= 500 for outcome in outcomes)

"""Batches over HTTP: each operation is read, and each outcome reported, as if it were a request of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from marshmallow import EXCLUDE, Schema, ValidationError

from app.domain.access import ANY, Access, Condition
from app.domain.batches.operations import Operation, Outcome
from app.errors import Fault, ServiceError, TooLarge, ValidationFailed
from app.http import arguments, conditional, errors
from app.http.answer import Answer
from app.schemas.batches import OperationSchema
from app.store.items import WriteId

# The outcomes of a thousand operations are stored in one document, so the report on each is short.
MAX_FAULTS = 3
MAX_LOCATION_CHARACTERS = 40
# The status of each operation's success.
SUCCESS = {"create": 201, "replace": 200, "patch": 200, "delete": 204}


class ItemService(Protocol):
    """The items of one type, as a batch needs them."""

    def reserve(self, count: int, /) -> tuple[int, ...]:
        """Return ids for ``count`` new items."""

    def batch(self, access: Access, operations: Sequence[Operation], write_id: WriteId, /) -> Sequence[Outcome]:
        """Carry out many operations."""


class Batches:
    """Batches of operations on ``items``, whose values have the shapes ``new`` and ``patch``."""

    def __init__(self, items: ItemService, new: Schema, patch: Schema, max_value_bytes: int) -> None:
        self._items, self._max_value_bytes = items, max_value_bytes
        self._values = {"create": new, "replace": new, "patch": patch}
        self._operations, self._ids = OperationSchema(), OperationSchema(only=["id"])

    def reserve(self, body: Mapping[str, Any]) -> tuple[int, ...]:
        """Return an id for each creation in the body of a batch."""
        operations = (each for each in body["operations"] if isinstance(each, dict))
        return self._items.reserve(sum(each.get("op") == "create" for each in operations))

    def answer(self, access: Access, body: Mapping[str, Any], write_id: WriteId) -> Answer:
        """Carry out the body of a batch and return an outcome for each operation, in order."""
        operations = [self._read(given) for given in body["operations"]]
        outcomes = self._items.batch(access, operations, write_id)
        reports = [report(operation, outcome) for operation, outcome in zip(operations, outcomes, strict=True)]
        return Answer({"outcomes": reports}, headers={"Cache-Control": "no-store"}, is_retryable=is_retryable(outcomes))

    def _read(self, given: object) -> Operation:
        """Return an operation; a fault in it is its own, even if it is no operation at all."""
        if not isinstance(given, dict):
            return Operation("", fault=ValidationFailed("An operation must be an object."))
        try:
            members = arguments.load(self._operations, given, "")
            return Operation(members["op"], members.get("id"), _condition(members), self._value(members))
        except ServiceError as fault:
            return Operation("", self._id(given), fault=fault)

    def _id(self, given: Mapping[str, Any]) -> int | None:
        """Return the id of an operation with faults, if the id itself is right."""
        try:
            public_id: int | None = self._ids.load(given, unknown=EXCLUDE).get("id")
        except ValidationError:
            return None
        return public_id

    def _value(self, members: Mapping[str, Any]) -> Mapping[str, Any] | None:
        op, schema = members["op"], self._values.get(members["op"])
        for member, is_needed in (("id", op != "create"), ("value", schema is not None)):
            if (member in members) != is_needed:
                raise _fault(member, "Missing data for required field." if is_needed else f"Not allowed for {op}.")
        if schema is None:
            return None
        if len(json.dumps(members["value"], ensure_ascii=False).encode()) > self._max_value_bytes:
            raise TooLarge(f"The value is larger than {self._max_value_bytes} bytes.")
        return arguments.load(schema, members["value"], "value")


def _condition(members: Mapping[str, Any]) -> Condition:
    if "if_match" not in members:
        return ANY
    if members["op"] == "create":
        raise _fault("if_match", "Not allowed for create.")
    return Condition(conditional.tags_or_bare(members["if_match"]))


def _fault(member: str, reason: str) -> ValidationFailed:
    return ValidationFailed(faults=(Fault(member, reason),))


def report(operation: Operation, outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a JSON object."""
    identity = {} if outcome.public_id is None else {"id": outcome.public_id}
    if outcome.error is not None:
        error = outcome.error
        tag = {"etag": error.headers["ETag"]} if "ETag" in error.headers else {}
        failure = {"error": error.code, "reason": _reason(operation, error)}
        return {"status": errors.STATUS[error.code], **identity, **tag, **failure}
    tag = {} if outcome.item is None else {"etag": conditional.headers(outcome.item.revision)["ETag"]}
    return {"status": SUCCESS[operation.op], **identity, **tag}


def _reason(operation: Operation, error: ServiceError) -> str:
    """Return the reason of a failure: its first faults, and whether there are more."""
    first = error.faults[:MAX_FAULTS]
    faults = [f"{_location(operation, fault)[:MAX_LOCATION_CHARACTERS]}: {fault.reason}" for fault in first]
    more = [arguments.MORE] if len(error.faults) > MAX_FAULTS else []
    return "; ".join([*faults, *more]) or error.reason


def _location(operation: Operation, fault: Fault) -> str:
    """Return the location of a fault in its operation; rules checked after parsing call the value the body."""
    if operation.fault or not fault.location.startswith("body."):
        return fault.location
    return f"value.{fault.location.removeprefix('body.')}"


def is_retryable(outcomes: Sequence[Outcome]) -> bool:
    """Return whether some operation is worth another try, so that the outcomes are not stored for repetitions."""
    return any(outcome.error and errors.STATUS[outcome.error.code] >= 500 for outcome in outcomes)

"""Batches over HTTP: each operation is read, and each outcome reported, as if it were a request of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError

from app.domain.access import Access
from app.domain.batches.current import with_current
from app.domain.batches.operations import Operation, Outcome
from app.domain.documents import Documents
from app.domain.projects import Projects
from app.domain.reservations import ReservedIds
from app.errors import Fault, ServiceError, TooLarge, ValidationFailed
from app.http import arguments
from app.http.answers import NO_STORE, Answer, json_line, tag_headers, tags_or_bare
from app.schemas.batches import OperationSchema
from app.services import Services
from app.store.items import ANY, Condition, WriteId

# The outcomes of a thousand operations are stored in one document, so the report on each is short.
MAX_FAULTS = 3
MAX_LOCATION_CHARACTERS = 40
# The status of each operation's success.
SUCCESS = {"create": 201, "replace": 200, "patch": 200, "delete": 204, "merge": 200}

OPERATION, ID = OperationSchema(), OperationSchema(only=["id"])


def count_creations(body: Mapping[str, Any]) -> int:
    """Return the number of creations in the body of a batch that need a new id."""
    operations = (each for each in body["operations"] if isinstance(each, dict))
    return sum(each.get("op") == "create" and "id" not in each for each in operations)


def answer(
    services: Services,
    items: Documents | Projects,
    values: Mapping[str, Schema],
    access: Access,
    body: Mapping[str, Any],
    write_id: WriteId,
) -> Answer:
    """Carry out the body of a batch and return an outcome for each operation, in order.

    ``values`` are the shapes of values by the name of their operation.
    """
    max_value_bytes, reserved_ids = services.settings.max_body_bytes, None
    if "reservation" in body:
        reserved_ids = services.reservations.read(body["reservation"], access.principal, items.items.resource_type)
    operations = [_read(each, values, max_value_bytes, reserved_ids) for each in body["operations"]]
    outcomes = items.batch(access, operations, write_id, max_value_bytes)
    outcomes = with_current(items, access, operations, outcomes, for_all=body.get("return_") == "current")
    reports = [report(operation, outcome) for operation, outcome in zip(operations, outcomes, strict=True)]
    # Composed by ``report``, so that no schema needs to look at a thousand reports once more.
    content = json_line({"outcomes": reports})
    return Answer(content, headers=NO_STORE, is_retryable=is_retryable(outcomes))


def reserve(
    services: Services, items: Documents | Projects, access: Access, body: Mapping[str, Any], write_id: WriteId
) -> Answer:
    """Return ids that the principal may create items under, and the reservation that proves it."""
    items.check_may_create(access)
    ids = write_id.ids or items.reserve(body["count"])
    reservation = services.reservations.issue(access.principal, items.items.resource_type, ids)
    content = {"ids": reservation.ids, "reservation": reservation.text, "expires_at": reservation.expires_at}
    return Answer(content, headers=NO_STORE)


def _read(
    given: object, values: Mapping[str, Schema], max_value_bytes: int, reserved_ids: ReservedIds | None
) -> Operation:
    """Return an operation; a fault in it is its own, even if it is no operation at all."""
    if not isinstance(given, dict):
        return Operation("", fault=ValidationFailed("An operation must be an object."))
    try:
        members = arguments.load(OPERATION, given, "")
        op, whole = members["op"], values["replace"]
        _check_id(members, reserved_ids)
        value = _value("value", members, values.get(op), max_value_bytes)
        base = _value("base", members, whole if op == "merge" else None, max_value_bytes)
        condition = _condition(members, whole, max_value_bytes)
        return Operation(op, members.get("id"), condition, value, base)
    except ServiceError as fault:
        return Operation("", _id(given), fault=fault)


def _id(given: Mapping[str, Any]) -> int | None:
    """Return the id of an operation with faults, if the id itself is right."""
    try:
        public_id: int | None = ID.load(given, unknown=EXCLUDE).get("id")
    except ValidationError:
        return None
    return public_id


def _check_member(members: Mapping[str, Any], name: str, *, is_needed: bool) -> None:
    if (name in members) != is_needed:
        raise _fault(name, "Missing data for required field." if is_needed else f"Not allowed for {members['op']}.")


def _check_id(members: Mapping[str, Any], reserved_ids: ReservedIds | None) -> None:
    """Raise Forbidden for a creation under an id that is not reserved."""
    if members["op"] != "create":
        _check_member(members, "id", is_needed=True)
    elif "id" in members:
        if reserved_ids is None:
            raise _fault("id", "Not allowed for create without a reservation.")
        reserved_ids.check(members["id"])


def _value(name: str, members: Mapping[str, Any], schema: Schema | None, max_bytes: int) -> Mapping[str, Any] | None:
    """Return the member ``name`` as ``schema`` reads it; without a schema it must be absent."""
    _check_member(members, name, is_needed=schema is not None)
    if schema is None:
        return None
    if len(json.dumps(members[name], ensure_ascii=False).encode()) > max_bytes:
        raise TooLarge(f"The {name} is larger than {max_bytes} bytes.")
    return arguments.load(schema, members[name], name)


def _condition(members: Mapping[str, Any], schema: Schema, max_bytes: int) -> Condition:
    """Return the condition of an operation; a value in it is a whole one, as ``schema`` reads it."""
    if members["op"] == "create" or not ("if_match" in members or "if_value" in members):
        for name in ("if_match", "if_value"):
            _check_member(members, name, is_needed=False)
        return ANY
    tags = tags_or_bare(members["if_match"]) if "if_match" in members else None
    value = _value("if_value", members, schema, max_bytes) if "if_value" in members else None
    return Condition(tags, value=value)


def _fault(member: str, reason: str) -> ValidationFailed:
    return ValidationFailed(faults=(Fault(member, reason),))


def report(operation: Operation, outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a JSON object."""
    identity = {} if outcome.public_id is None else {"id": outcome.public_id}
    if outcome.error is not None:
        error = outcome.error
        tag = {"etag": error.headers["ETag"]} if "ETag" in error.headers else {}
        failure = {"error": error.code, "reason": _reason(operation, error)}
        return {"status": error.status, **identity, **tag, **failure, **_current(outcome)}
    tag = {} if outcome.item is None else {"etag": tag_headers(outcome.item.revision)["ETag"]}
    merged = {"merged": True, **_current(outcome)} if outcome.is_merged else {}
    return {"status": SUCCESS[operation.op], **identity, **tag, **merged}


def _current(outcome: Outcome) -> dict[str, Any]:
    """Return the members of an outcome that show the item as it is now, and a merge that clashed."""
    current, merge = outcome.current, outcome.merge
    if current is None:
        return {}
    if current.is_deleted:
        state: dict[str, Any] = {"deleted": True}
    else:
        state = {"omitted": True} if current.value is None else {"value": current.value}
    members = {"current": {"etag": f'"{current.revision}"', **state}}
    return members if merge is None else {**members, "merge": merge}


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
    return any(outcome.error and outcome.error.status >= 500 for outcome in outcomes)

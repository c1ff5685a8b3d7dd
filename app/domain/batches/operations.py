"""The operations of a batch, and their outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import ServiceError
from app.store.items import ANY, Condition, StoredItem, WriteId


@dataclass(frozen=True)
class Operation:
    """``op`` is create, replace, patch, delete or merge. It is empty where the operation is malformed: see ``fault``.

    ``base`` holds the members that the client of a merge started from.
    """

    op: str
    public_id: int | None = None
    condition: Condition = ANY
    value: Mapping[str, Any] | None = None
    base: Mapping[str, Any] | None = None
    fault: ServiceError | None = None

    @property
    def is_reserved(self) -> bool:
        """Whether it creates an item under an id that the client has reserved."""
        return self.op == "create" and self.public_id is not None


@dataclass(frozen=True)
class Step:
    """A well-formed operation at its place in the request, with the id of its item and of its write."""

    place: int
    public_id: int
    write_id: WriteId
    operation: Operation

    @property
    def is_reserved(self) -> bool:
        """Whether it creates an item under an id that the client has reserved."""
        return self.operation.is_reserved

    @property
    def value(self) -> Mapping[str, Any]:
        """The value of the operation; empty for a deletion."""
        return self.operation.value or {}


@dataclass(frozen=True)
class Current:
    """An item as it is now. ``value`` is as clients read it, None if it is deleted or too large for the answer."""

    revision: str
    value: Mapping[str, Any] | None = None
    is_deleted: bool = False


@dataclass(frozen=True)
class Outcome:
    """The result of an operation: the item after it, None if it is deleted, or the error.

    ``current`` is the item as it is now, for clients that ask for it. ``merge`` shows a merge that clashed.
    ``is_merged``: the result of a merge has something that the client's version does not have.
    """

    public_id: int | None
    item: StoredItem | None = None
    error: ServiceError | None = None
    current: Current | None = None
    merge: Mapping[str, Any] | None = None
    is_merged: bool = False

"""The operations of a batch, what becomes of them, and what the items of a kind demand of those who carry them out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.domain.access import Access
from app.domain.condition import ANY, Condition
from app.errors import ServiceError
from app.store.items import StoredItem
from app.store.write_id import WriteId


@dataclass(frozen=True)
class Operation:
    """``op`` is create, replace, patch or delete; it is empty where a ``fault`` was found, which says what is wrong."""

    op: str
    public_id: int | None = None
    condition: Condition = ANY
    value: Mapping[str, Any] | None = None
    fault: ServiceError | None = None


@dataclass(frozen=True)
class Step:
    """An operation at its place in the request; its revision is known by ``nonce``."""

    place: int
    public_id: int
    nonce: str
    asked: Operation


@dataclass(frozen=True)
class Outcome:
    """What became of an operation: the item as it is now, None where it is gone, or why nothing became of it."""

    public_id: int | None
    item: StoredItem | None = None
    error: ServiceError | None = None


class Rules(Protocol):
    """What the items of one kind demand, of which a batch asks for many at once what the single ones ask for one."""

    def refusals(self, access: Access, public_ids: Sequence[int], /) -> dict[int, ServiceError]:
        """Return what to say of the items that the key does not reach."""

    def takes(self, access: Access, fields: Iterable[Mapping[str, Any]], /) -> Any:
        """Return what ``require_possible`` and ``require_arrived`` are to look with at what has these ``fields``."""

    def require_still_reached(self, access: Access, found: StoredItem, /) -> None:
        """Raise if an item left the key's reach."""

    def require_possible(
        self, access: Access, found: StoredItem | None, fields: Mapping[str, Any], takes: Any, /
    ) -> None:
        """Raise unless ``found``, or nothing, may become this."""

    def require_arrived(self, access: Access, before: StoredItem | None, after: StoredItem, takes: Any, /) -> None:
        """Undo what became impossible meanwhile, and raise."""

    def replace(
        self, access: Access, public_id: int, fields: Mapping[str, Any], condition: Condition, attempt: WriteId, /
    ) -> StoredItem:
        """Replace one item."""

    def patch(
        self, access: Access, public_id: int, patch: Mapping[str, Any], condition: Condition, attempt: WriteId, /
    ) -> StoredItem:
        """Patch one item."""

    def delete(self, access: Access, public_id: int, condition: Condition, attempt: WriteId, /) -> None:
        """Delete one item."""

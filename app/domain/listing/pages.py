"""Pages of a listing: which rows are on one, its tag, and where the next begins."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from app.domain.resource_types import ResourceType
from app.store import Row
from app.store.doc_ids import MAX_ID

Order = Literal["asc", "desc"]


@dataclass(frozen=True)
class ListQuery:
    """What a page is asked for: at most ``limit`` items after ``position``, narrowed by the filters that are set."""

    limit: int
    order: Order = "asc"
    position: int | None = None
    ids: tuple[int, ...] | None = None
    project_id: int | None = None

    @property
    def descending(self) -> bool:
        """Whether higher ids come first."""
        return self.order == "desc"

    @property
    def bounds(self) -> tuple[int, int]:
        """The lowest and the highest id that can be on the page."""
        if self.position is None:
            return 0, MAX_ID
        return (0, self.position - 1) if self.descending else (self.position + 1, MAX_ID)

    def remaining_ids(self) -> list[int]:
        """Return those of ``ids`` that are still to come, each once, in order."""
        low, high = self.bounds
        return sorted({i for i in self.ids or () if low <= i <= high}, reverse=self.descending)


@dataclass(frozen=True)
class IndexRow:
    """A row of an index: an item's public id and the revision of it that the index has seen."""

    public_id: int
    revision: str
    project_id: int | None = None

    @classmethod
    def of(cls, resource_type: ResourceType, row: Row) -> IndexRow:
        """Return what a row of one of ``resource_type``'s views says."""
        return cls(resource_type.public_id(row.id), row.value["rev"], row.value.get("project_id"))


@dataclass(frozen=True)
class Page:
    """The rows of a page, in order, and the position after which the next page begins, if there is one.

    Where it is one of a project's documents, ``project_id`` is the project.
    """

    rows: tuple[IndexRow, ...]
    next_position: int | None
    project_id: int | None = None
    items: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def tag(self) -> str:
        """A digest of the rows and of whether there is a next page: it changes if and only if the page does."""
        content = [[[row.public_id, row.revision] for row in self.rows], self.next_position is not None]
        return sha256(json.dumps(content).encode()).hexdigest()[:32]


def cut(rows: Sequence[IndexRow], query: ListQuery) -> Page:
    """Return the page that begins ``rows``, which were read with one row more than the limit of ``query``."""
    limit = query.limit
    return Page(tuple(rows[:limit]), rows[limit - 1].public_id if len(rows) > limit else None, query.project_id)

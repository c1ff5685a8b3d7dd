"""What documents and projects have in common over HTTP: listed, made, read, replaced, patched, deleted and copied."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, Protocol

from flask import Response, g, url_for
from marshmallow import Schema

from app.api import batches
from app.domain.access import Access
from app.domain.batches.operations import Operation, Outcome
from app.domain.condition import Condition
from app.domain.listing.pages import ListQuery, Page
from app.domain.rendered import RenderedItem
from app.http import conditional, paging
from app.http import item_responses as tagged
from app.http.blueprint import Blueprint
from app.schemas.batches import BatchSchema, OutcomesSchema
from app.settings import BATCH_BODY_FACTOR
from app.store.items import StoredItem
from app.store.write_id import WriteId
from app.wiring import Services


class Shelf(Protocol):
    """The items of one kind, as a key reaches them."""

    def read(self, access: Access, public_id: int, /, *, bypass_cache: bool) -> RenderedItem:
        """Return one item, from the database if the cache is bypassed."""

    def reserve(self, count: int, /) -> tuple[int, ...]:
        """Return ids for so many items to come."""

    def create(self, access: Access, fields: Mapping[str, Any], attempt: WriteId, /) -> StoredItem:
        """Store a new item."""

    def replace(self, access: Access, public_id: int, fields: Mapping[str, Any], condition: Condition, /) -> StoredItem:
        """Give an item these members and no others."""

    def patch(
        self, access: Access, public_id: int, patch: Mapping[str, Any], condition: Condition, attempt: WriteId, /
    ) -> StoredItem:
        """Apply a merge patch."""

    def delete(self, access: Access, public_id: int, condition: Condition, /) -> None:
        """Delete an item for ever."""

    def copy(self, access: Access, public_id: int, attempt: WriteId, /) -> StoredItem:
        """Store a copy."""

    def batch(self, access: Access, operations: Sequence[Operation], attempt: WriteId, /) -> Sequence[Outcome]:
        """Carry out many operations."""

    def page(self, access: Access, query: ListQuery, /) -> Page:
        """Return the rows of a page."""

    def load(self, access: Access, page: Page, /) -> Page:
        """Return a page with its items."""


@dataclass(frozen=True)
class Noun:
    """A kind of item: its names, and its shapes as it is sent, patched and answered."""

    one: str
    many: str
    new: type[Schema]
    patch: type[Schema]
    full: type[Schema]
    page_query: type[Schema]


class Items:
    """The operations on one noun; the descriptions of its methods are those of the API."""

    def __init__(self, noun: Noun, shelf: Shelf, services: Services) -> None:
        self._noun, self._shelf, self._pages = noun, shelf, paging.Paging.of(services)
        self._max_bytes = services.settings.max_body_bytes
        self._reader = batches.Reader(noun.new, noun.patch, self._max_bytes)

    def register(self, routes: Blueprint) -> None:
        """Add the operations to ``routes``."""
        noun, full = self._noun, self._noun.full
        reads, writes = {"scope": f"{noun.many}:read"}, {"scope": f"{noun.many}:write"}
        changes = {**writes, "answer": full(), "headers": tagged.HEADERS, "also": (409, 412)}
        creates = {
            **writes,
            "status": 201,
            "answer": full(),
            "headers": tagged.CREATED_HEADERS,
            "reserve": self._reserve,
        }
        every, one = f"/{noun.many}", f"/{noun.many}/<id:{noun.one}_id>"

        def add(method: str, rule: str, view: Callable[..., Any], **declared: Any) -> None:
            routes.operation(method, rule, **declared)(self._named(view))

        add("GET", every, self.list, **reads, query=noun.page_query, answer=full(many=True), headers=paging.HEADERS)
        add("POST", every, self.create, **creates, body=noun.new)
        add("GET", one, self.get, **reads, answer=full(), headers=tagged.HEADERS)
        add("PUT", one, self.replace, **changes, body=noun.new)
        add("PATCH", one, self.patch, **changes, body=noun.patch)
        add("DELETE", one, self.delete, **writes, status=204, also=(409, 412))
        add("COPY", one, self.copy, **creates)
        many = {"body": BatchSchema, "max_bytes": BATCH_BODY_FACTOR * self._max_bytes, "reserve": self._reserve_many}
        add("POST", f"{every}/batch", self.batch, **writes, **many, answer=OutcomesSchema(), headers=("Cache-Control",))

    def list(self, query: dict[str, Any]) -> Any:
        """List {many} by id

        Without `limit`, a page has the service's usual size. The first page comes without `cursor`, the others from
        `x-next`.
        """
        asked = self._pages.query(query)
        paging.declare(self._noun.many)
        page, load = self._shelf.page(g.access, asked), partial(self._shelf.load, g.access)
        return self._pages.answer(asked, page, load, paging.bodies)

    def create(self, body: dict[str, Any]) -> Any:
        """Create a {one}

        StoredItem by a quorum of the database before the answer is given.
        """
        return self._created(self._shelf.create(g.access, body, g.attempt))

    def get(self, **path: int) -> Any:
        """Read one {one}

        What was read before is answered only where nobody on this host has changed it since, nor on another host as
        far as is known here; `Cache-Control: no-cache` has it read from the database.
        """
        item = self._shelf.read(g.access, self._id(path), bypass_cache=conditional.wants_fresh())
        return tagged.answer(item.revision, tagged.body(item))

    def replace(self, body: dict[str, Any], **path: int) -> Any:
        """Replace a {one}

        What the body does not name is gone. With `If-Match` only if nobody else changed it; without, the last write
        wins.
        """
        return tagged.written(self._shelf.replace(g.access, self._id(path), body, conditional.condition()))

    def patch(self, body: dict[str, Any], **path: int) -> Any:
        """Change members of a {one}

        A merge patch (RFC 7396): what the body names is set, or removed where it is null. With `If-Match` only if
        nobody else changed it; without, it is applied to what is current.
        """
        condition = conditional.condition()
        return tagged.written(self._shelf.patch(g.access, self._id(path), body, condition, g.attempt))

    def delete(self, **path: int) -> Response:
        """Delete a {one} for ever

        Its id is not used again. With `If-Match` only if nobody else changed it.
        """
        self._shelf.delete(g.access, self._id(path), conditional.condition())
        return tagged.nothing()

    def copy(self, **path: int) -> Any:
        """Create a copy of a {one}

        The copy has an id of its own and is otherwise the same.
        """
        return self._created(self._shelf.copy(g.access, self._id(path), g.attempt))

    def batch(self, body: dict[str, Any]) -> Any:
        """Carry out up to 1,000 operations on {many}

        Each is done, or refused, as if it were alone, and has an outcome of its own, whatever is wrong with the others;
        together they are not atomic.
        Operations on the same {one} are done in their order. A batch with an `Idempotency-Key` is repeated as a whole.
        """
        operations = self._reader.read(body["operations"])
        outcomes = self._shelf.batch(g.access, operations, g.attempt)
        g.is_passing = batches.is_passing(outcomes)
        shown = [batches.shown(asked, outcome) for asked, outcome in zip(operations, outcomes, strict=True)]
        return {"outcomes": shown}, {"Cache-Control": "no-store"}

    def _reserve_many(self, body: dict[str, Any]) -> tuple[int, ...]:
        asked = (each for each in body["operations"] if isinstance(each, dict))
        return self._shelf.reserve(sum(each.get("op") == "create" for each in asked))

    def _reserve(self, **_: Any) -> tuple[int, ...]:
        return self._shelf.reserve(1)

    def _id(self, path: Mapping[str, int]) -> int:
        return path[f"{self._noun.one}_id"]

    def _created(self, item: StoredItem) -> Any:
        place: dict[str, Any] = {f"{self._noun.one}_id": item.public_id}
        return tagged.created(item, url_for(f"{self._noun.many}.get_{self._noun.one}", **place, _external=True))

    def _named(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``view`` under a name, and with a description, that name the noun."""

        @wraps(view)
        def named(*args: Any, **kwargs: Any) -> Any:
            return view(*args, **kwargs)

        names = {"one": self._noun.one, "many": self._noun.many}
        named.__name__ = f"{view.__name__}_{names['many' if view in (self.list, self.batch) else 'one']}"
        named.__doc__ = (inspect.getdoc(view) or "").format(**names)
        return named

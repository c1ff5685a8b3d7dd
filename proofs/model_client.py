"""A client with its own documents and projects, which always knows their expected state."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proofs.campaign import REPEATS
from proofs.clients import Client
from proofs.ledger import DOCUMENTS, PROJECTS, Item, Ledger
from proofs.requests import Requests
from proofs.service import Reply, Service
from proofs.shared import SharedProjects

# Maximum characters of a content, and minimum numbers of documents and projects of a client.
CONTENT, DOCUMENTS_KEPT, PROJECTS_KEPT = 400, 4, 2
NAMES = {DOCUMENTS: "title", PROJECTS: "name"}
MORE = {DOCUMENTS: "content", PROJECTS: "description"}

Action = Callable[["ModelClient"], None]


class ModelClient(Client):
    """Does all of ``actions``, one after the other."""

    def __init__(
        self,
        service: Service,
        key: str,
        name: str,
        rng: random.Random,
        shared: SharedProjects,
        actions: Sequence[Action],
    ) -> None:
        super().__init__(name)
        self.random, self.shared, self.ledger = rng, shared, Ledger()
        self.requests = Requests(service, key, rng, self.answered)
        self._pending, self._value_count = list(actions), 0

    def act(self) -> bool:
        """Do the next action."""
        action = self._pending.pop(0)
        try:
            action(self)
        except BaseException as failure:
            failure.add_note("\n".join((*self.requests.recent, f"{self.name} failed to {action.__name__}")))
            raise
        self.answered["actions"] += 1
        return bool(self._pending)

    def value(self, kind: str = DOCUMENTS, **members: Any) -> dict[str, Any]:
        """Return unique members of an item, with ``members`` that are not None."""
        self._value_count += 1
        more = "".join(self.random.choices('ab \n"é😀', k=self.random.randrange(CONTENT)))
        own = {NAMES[kind]: f"{self.name}, {self._value_count}", MORE[kind]: self.random.choice((None, more))}
        return without_none({**own, **members})

    def document(self) -> Item:
        """Return one of its documents."""
        while len(self.ledger.of(DOCUMENTS)) < DOCUMENTS_KEPT:
            self.make(DOCUMENTS, self.value())
        return self.random.choice(self.ledger.of(DOCUMENTS))

    def project(self) -> Item:
        """Return one of its projects."""
        while len(self.ledger.of(PROJECTS)) < PROJECTS_KEPT:
            self.make(PROJECTS, self.value(PROJECTS))
        return self.random.choice(self.ledger.of(PROJECTS))

    def home(self) -> int | None:
        """Return where a document may be: the id of one of its projects, or None."""
        return self.random.choice((None, self.project().public_id))

    def tag(self, item: Item) -> str | None:
        """Return the condition of a write of ``item``, at random."""
        return self.random.choice((None, item.tag))

    def took(self, kind: str, reply: Reply, value: Mapping[str, Any]) -> Item:
        """Check that an answer shows ``value``, and record the item."""
        item = Item.served(kind, reply)
        assert item.value == value
        assert reply.status != 201 or self.ledger.get(kind, item.public_id) is None, f"{item.path} was given twice"
        return self.ledger.keep(item)

    def make(self, kind: str, value: Mapping[str, Any]) -> Item:
        """Create an item."""
        return self.took(kind, self.create("POST", f"/{kind}", kind, value, value), value)

    def create(
        self, method: str, path: str, kind: str, value: Mapping[str, Any], body: Mapping[str, Any] | None = None
    ) -> Reply:
        """Send a creation of ``value`` until its outcome is known. Others of unknown outcome may exist as well."""
        while (reply := self.requests.repeated(method, path, body, expected=(201,))).is_unknown:
            self.ledger.doubt(kind, value)
        return reply

    def patch(self, item: Item, patch: Mapping[str, Any]) -> Item:
        """Change an item by a patch, under a key."""
        reply = self.requests.repeated("PATCH", item.path, patch, expected=(200,), tag=self.tag(item))
        value = without_none({**item.value, **patch})
        return self.resolve(item, value) if reply.is_unknown else self.took(item.kind, reply, value)

    def resolve(self, item: Item, value: Mapping[str, Any]) -> Item:
        """Find out by reading whether an item has got a value, or kept its own."""
        stored = self.settle(item, value, None)
        assert stored is not None
        return stored

    def replace(self, item: Item, value: Mapping[str, Any]) -> Item:
        """Replace an item without an Idempotency-Key. Returns the stored item, the old or the new one."""
        reply = self.requests.once("PUT", item.path, value, expected=(200,), tag=self.tag(item))
        if reply is not None and not reply.is_retryable:
            return self.took(item.kind, reply, value)
        stored = self.settle(item, value, reply)
        assert stored is not None
        return stored

    def delete(self, item: Item) -> Item | None:
        """Delete an item without an Idempotency-Key. Returns it if it still exists."""
        reply = self.requests.once("DELETE", item.path, expected=(204,), tag=self.tag(item))
        if reply is None or reply.is_retryable:
            return self.settle(item, None, reply)
        self.ledger.drop(item)
        assert self.requests.read(item.path).status == 404
        return None

    def settle(self, item: Item, after: Mapping[str, Any] | None, reply: Reply | None) -> Item | None:
        """Resolve the outcome of an unanswered write by reading. Returns the item, None if it does not exist.

        If the outcome is unknown, the state before and after are both right, otherwise only the state before. A patch
        without changes then supersedes a write that is still in flight.
        """
        in_doubt = reply is None or reply.is_doubtful
        for _ in range(REPEATS):
            reply = self.requests.read(item.path)
            if reply.status == 404:
                assert after is None, f"{item.path} is gone"
                assert in_doubt, f"{item.path} is gone, and that was denied"
                self.ledger.drop(item)
                return None
            seen = Item.served(item.kind, reply)
            self._require_either(item, seen, after if in_doubt else None)
            if not in_doubt and item.kind == DOCUMENTS:
                return self.ledger.keep(seen)
            # A project with the mark of a failed deletion accepts no documents until it is changed.
            fence = self.requests.repeated("PATCH", item.path, {}, expected=(200, 404, 412), tag=seen.tag)
            if fence.status == 200:
                return self.took(item.kind, fence, seen.value)
        raise AssertionError(f"{item.path} is never stable")

    def _require_either(self, before: Item, seen: Item, after: Mapping[str, Any] | None) -> None:
        if seen.value != before.value:
            assert seen.value == after, f"{seen} instead of {before} or {after}"
        elif before.kind == DOCUMENTS:
            # Deleting a project first marks it, which is a revision of its own.
            assert seen.tag == before.tag, f"{seen} instead of {before}"


def without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``members`` that are not None."""
    return {name: member for name, member in members.items() if member is not None}

"""Clients that create documents during faults, and record every answer."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proofs.clients import Client, Clients
from proofs.service import NO_ANSWER, Reply, Service

CLIENTS = 6
# Maximum characters of a document, and maximum requests of a client for one create.
CONTENT, REPEATS = 4000, 500
# Seconds that a client waits after a 503.
RETRY_SECONDS = 0.05


@dataclass
class Creation:
    """One create: the document, every answer, and the number of requests without an answer."""

    value: dict[str, Any]
    replies: list[Reply] = field(default_factory=list)
    dropped: int = 0

    @property
    def acknowledged(self) -> list[Reply]:
        """The answers that acknowledge the create."""
        return [reply for reply in self.replies if reply.status == 201]

    @property
    def is_unknown(self) -> bool:
        """Whether the service cannot determine whether the document was created."""
        return any(reply.is_unknown for reply in self.replies)

    @property
    def may_be_stored(self) -> bool:
        """Whether the client cannot know if the document is stored."""
        return self.dropped > 0 or any(reply.is_doubtful for reply in self.replies)


class Creator(Client):
    """Creates documents one after the other, each unlike any other, until it is stopped or has done ``count``.

    With ``idempotent`` it sends an `Idempotency-Key` and repeats a request until it is answered with 201, and then once
    more.
    """

    def __init__(
        self, service: Service, key: str, name: str, rng: random.Random, *, count: int | None, idempotent: bool
    ) -> None:
        super().__init__(name)
        self._service, self._key, self._random = service, key, rng
        self._count, self._idempotent = count, idempotent
        self.creations: list[Creation] = []

    def act(self) -> bool:
        """Create a document and record the answers."""
        self._create(len(self.creations))
        return len(self.creations) != self._count

    def _create(self, number: int) -> None:
        content = "".join(self._random.choices('ab \n"é😀', k=self._random.randrange(CONTENT)))
        creation = Creation({"title": f"{self.name}, {number}", "content": content})
        self.creations.append(creation)
        headers = {"Idempotency-Key": f"{self._random.getrandbits(128):032x}"} if self._idempotent else {}
        self._send(creation, headers)
        if self._idempotent:
            for _ in range(REPEATS):
                if len(creation.acknowledged) == 2 or creation.is_unknown:
                    break
                self._send(creation, headers)

    def _send(self, creation: Creation, headers: Mapping[str, str]) -> None:
        try:
            creation.replies.append(self._service.ask("POST", "/documents", self._key, creation.value, headers))
            self.answered[str(creation.replies[-1].status)] += 1
            if creation.replies[-1].status in (409, 503):
                # Sooner than `Retry-After`, but not in a busy loop.
                self.stopping.wait(RETRY_SECONDS)
        except NO_ANSWER:
            creation.dropped += 1
            self.answered["dropped"] += 1


class Campaign(Clients):
    """Running clients, and their creates so far."""

    def __init__(self, creators: Sequence[Creator]) -> None:
        super().__init__(creators)
        self._creators = creators

    @classmethod
    def of(
        cls, service: Service, key: str, seed: int, *, count: int | None = None, idempotent: bool = False
    ) -> Campaign:
        """Return clients that create ``count`` documents together, or go on until the campaign ends."""
        share = None if count is None else -(-count // CLIENTS)
        return cls(
            [
                Creator(service, key, f"client {n}", random.Random(f"{seed}-{n}"), count=share, idempotent=idempotent)
                for n in range(CLIENTS)
            ]
        )

    @property
    def creations(self) -> list[Creation]:
        """Every create so far."""
        return [creation for creator in self._creators for creation in list(creator.creations)]

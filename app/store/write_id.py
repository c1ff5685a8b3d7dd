"""The identity of a write: every revision carries the nonce of its write, so that a repetition recognises it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from hashlib import sha256


@dataclass(frozen=True)
class WriteId:
    """``ids`` are reserved for the items that the write creates.

    ``since`` is set where a crashed run may have written under this id already: no such write is older than that time
    (RFC 3339).
    """

    ids: tuple[int, ...] = ()
    nonce: str = field(default_factory=lambda: uuid.uuid4().hex)
    since: str | None = None

    def part(self, name: str) -> WriteId:
        """Return the id of one of several writes of a request; the same name always gives the same id."""
        return WriteId(nonce=sha256(f"{self.nonce} {name}".encode()).hexdigest()[:32], since=self.since)

    @property
    def compensation(self) -> WriteId:
        """The id of the write that undoes this one, so that a repetition does not take this one for done."""
        return self.part("undone").as_new()

    @property
    def nonces(self) -> tuple[str, str]:
        """The nonces of the write and of its compensation."""
        return self.nonce, self.compensation.nonce

    def as_new(self) -> WriteId:
        """Return the same id for a write that is carried out whatever an earlier run did."""
        return replace(self, since=None)

"""What a request writes with: ids of its own, and a nonce by which its revisions are known again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from hashlib import sha256


@dataclass(frozen=True)
class WriteId:
    """``ids`` are taken for new items as far as they go; ``since`` is when an earlier run of it began, if one did."""

    ids: tuple[int, ...] = ()
    nonce: str = field(default_factory=lambda: uuid.uuid4().hex)
    since: str | None = None

    def part(self, name: str) -> WriteId:
        """Return what one of a request's several writes is made with, without ids; a name always gives one nonce."""
        return WriteId(nonce=sha256(f"{self.nonce} {name}".encode()).hexdigest()[:32], since=self.since)


def undoing(nonce: str) -> str:
    """Return the nonce of the write that undoes the one with ``nonce``, so that it is not taken for done."""
    return WriteId(nonce=nonce).part("undone").nonce

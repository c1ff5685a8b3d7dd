"""What a request writes with: ids of its own, and a nonce by which its revisions are known again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Attempt:
    """``ids`` are taken for new items as far as they go; ``since`` is when an earlier run of it began, if one did."""

    ids: tuple[int, ...] = ()
    nonce: str = field(default_factory=lambda: uuid.uuid4().hex)
    since: str | None = None

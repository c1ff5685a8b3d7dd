"""What a client demands of a revision before it is replaced: RFC 9110, sections 13.1.1 and 13.1.2."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import PreconditionFailed
from app.store.items import StoredItem


@dataclass(frozen=True)
class Condition:
    """The tags of which one must be current; None demands nothing, and `*` only that there is something.

    Of ``refused`` none may be current; there `*` is any.
    """

    tags: frozenset[str] | None = None
    refused: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        """Whether any revision will do."""
        return self.tags is None or "*" in self.tags

    def revision(self, current: str) -> str | None:
        """Return the revision to replace, which is for the database to compare again; None if no tag is ``current``.

        What follows a revision is composed of what was read with it, so that another tag is never written on.
        """
        if not self.refused.isdisjoint({current, "*"}):
            return None
        return current if self.is_open or current in (self.tags or ()) else None


ANY = Condition()


def stale(found: StoredItem) -> PreconditionFailed:
    """Return what to say to who demanded another revision than the one ``found``."""
    return PreconditionFailed(headers={"ETag": f'"{found.revision}"'})

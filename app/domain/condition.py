"""The conditions that a client sets on the revision it replaces: RFC 9110, sections 13.1.1 and 13.1.2."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import PreconditionFailed
from app.store.items import StoredItem


@dataclass(frozen=True)
class Condition:
    """One of ``tags`` must be current, `*` stands for any, and None sets no condition.

    None of ``refused`` may be current; there, too, `*` stands for any.
    """

    tags: frozenset[str] | None = None
    refused: frozenset[str] = frozenset()

    @property
    def is_unconditional(self) -> bool:
        """Whether any revision may be replaced."""
        return self.tags is None or "*" in self.tags

    def check(self, item: StoredItem) -> None:
        """Raise PreconditionFailed, with the current tag, unless ``item`` may be replaced.

        The database compares the revision once more when the next one is stored on top of it.
        """
        is_met = self.is_unconditional or item.revision in (self.tags or ())
        if not is_met or not self.refused.isdisjoint({item.revision, "*"}):
            raise PreconditionFailed(headers={"ETag": f'"{item.revision}"'})


ANY = Condition()

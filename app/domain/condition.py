"""What a client demands of a revision before it is replaced: If-Match, as RFC 9110 section 13.1.1 has it."""

from __future__ import annotations

import re
from dataclasses import dataclass

# What CouchDB takes for a revision; a tag of another form is none of ours and never current.
REVISION = re.compile(r"[1-9][0-9]{0,9}-[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True)
class Condition:
    """The tags of which one must be current; None demands nothing, and `*` only that there is something."""

    tags: frozenset[str] | None = None

    @property
    def is_open(self) -> bool:
        """Whether any revision will do."""
        return self.tags is None or "*" in self.tags

    def revision(self, current: str) -> str | None:
        """Return the revision to replace, which is for the database to compare; None if no tag can ever be one.

        ``current`` was read a moment ago, and decides only which of several tags is meant.
        """
        if self.tags is None or self.is_open or current in self.tags:
            return current
        return min(filter(REVISION.fullmatch, self.tags), default=None)


ANY = Condition()

"""Reads many revisions of many documents, in requests of limited size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.errors import ServiceError
from app.store.leaves import Leaf, Leaves

# Revisions that are read in one request at most, and in the first one; the next read about this many characters.
MAX_REVISIONS, FIRST_REVISIONS = 200, 20
READ_CHARACTERS = 2**22

RevisionId = tuple[str, str]


class RevisionReader:
    """The size of the revisions that were read decides how many are read in the next request."""

    def __init__(self, leaves: Leaves) -> None:
        self._leaves, self._count = leaves, FIRST_REVISIONS

    def read(
        self, revision_ids: Sequence[RevisionId], *, with_lineage: bool = False
    ) -> Iterator[tuple[Sequence[RevisionId], list[Leaf]]]:
        """Yield parts of the revisions, each an `_id` and a `_rev`, and those of each part whose bodies exist.

        Raises Unavailable; the next request is smaller then, since it may have been too large.
        """
        start = 0
        while start < len(revision_ids):
            part = revision_ids[start : start + self._count]
            try:
                leaves = self._leaves.read_many(part, with_lineage=with_lineage)
            except ServiceError:
                self._count = max(1, self._count // 4)
                raise
            self._adapt(leaves)
            start += len(part)
            yield part, leaves

    def _adapt(self, leaves: Sequence[Leaf]) -> None:
        characters = sum(leaf.item.characters for leaf in leaves)
        fitting = READ_CHARACTERS * len(leaves) // characters if characters else MAX_REVISIONS
        # The next revisions may be larger than those so far.
        self._count = max(1, min(MAX_REVISIONS, 2 * self._count, fitting))

"""Reads the revisions of an item that the history lacks, since the capture has not reached them yet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from app.store.leaves import Leaf, Leaves, winner_order
from app.store.versions import VersionStore

# Revisions before a leaf that are looked for in the history: the capture may lag behind them.
MAX_UNCAPTURED = 100


def read_uncaptured(database: Leaves, history: VersionStore, leaves: Sequence[Leaf]) -> tuple[Leaf, ...]:
    """Return the revisions of one item below its ``leaves`` down to those in the history, as far as they exist.

    At most MAX_UNCAPTURED below each leaf are looked for, and at most MAX_LEAVES of all are read, the newest first.
    Everything below a version in the history was captured with it. Raises Unavailable.
    """
    if not leaves:
        return ()
    doc_id = leaves[0].item.doc_id
    lineages = [leaf.lineage[:MAX_UNCAPTURED] for leaf in leaves]
    missing = set(history.missing([(doc_id, revision) for lineage in lineages for revision in lineage]))
    recent = {each for lineage in lineages for each in takewhile(lambda it: (doc_id, it) in missing, lineage)}
    below = recent.difference(leaf.revision for leaf in leaves)
    return database.read_revisions(doc_id, sorted(below, key=winner_order, reverse=True))

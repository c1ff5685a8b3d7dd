"""Where each block of ids begins and ends: a fixed function of its number, so that no two claims can disagree.

Blocks hold 1 id up to id 100, 10 up to 1,000, 100 up to 100,000 and then 1,000. Block 0 holds id 1.
"""

from __future__ import annotations

from app.store.doc_ids import MAX_ID

# The first block of each stretch, the first id in it, and how many ids each of its blocks holds.
STRETCHES = ((0, 1, 1), (100, 101, 10), (190, 1_001, 100), (1_180, 100_001, 1_000))


def block(number: int) -> range:
    """Return the ids of block ``number``, which counts from 0."""
    first_block, first_id, size = next(row for row in reversed(STRETCHES) if number >= row[0])
    start = first_id + (number - first_block) * size
    return range(start, min(start + size, MAX_ID + 1))


def next_own(number: int, region: int, regions: int) -> int:
    """Return the lowest block number above ``number`` (-1 for none yet) that belongs to ``region``."""
    return number + 1 + (region - number - 1) % regions

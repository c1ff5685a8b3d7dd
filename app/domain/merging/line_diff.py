"""The difference of two lists of lines: the shortest edit, by Myers' algorithm, within a bound of edits.

E. W. Myers, "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1, 1986.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

# The bounds of one search, in edits and in edits times lines: they depend on nothing but the texts.
MAX_EDITS, MAX_COMPARISONS = 1000, 20_000_000
# A line with its end, or the rest of the text without one.
LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")


class Change(NamedTuple):
    """The lines of the old text from ``start`` up to ``end``, excluded, are replaced by ``lines``."""

    start: int
    end: int
    lines: tuple[str, ...]


def split_lines(text: str) -> list[str]:
    r"""Return the lines of ``text`` with their ends, which are \n, \r\n or \r.

    ``str.splitlines`` would also end lines at form feeds and at other characters that editors show inside a line.
    """
    return LINE.findall(text)


def diff(old: Sequence[str], new: Sequence[str]) -> list[Change]:
    """Return the changes that turn ``old`` into ``new``, in order, with a common line between each two.

    The common lines are a longest common subsequence. Where equal lines leave a choice of places, each text uses its
    first ones, so that similar texts are compared alike. If the search exceeds its bounds, everything between the
    common start and the common end is one change.
    """
    start = _count_equal(old, new)
    tail = _count_equal(old[start:][::-1], new[start:][::-1])
    old_end, new_end = len(old) - tail, len(new) - tail
    middle = _longest_common(old[start:old_end], new[start:new_end])
    if middle is None:
        return [Change(start, old_end, tuple(new[start:new_end]))]
    common = [*old[:start], *middle, *old[old_end:]]
    places = zip(_first_places(old, common), _first_places(new, common), strict=True)
    changes = (Change(i + 1, next_i, tuple(new[j + 1 : next_j])) for (i, j), (next_i, next_j) in pairwise(places))
    return [change for change in changes if change.start < change.end or change.lines]


def _count_equal(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many lines both lists begin with."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((count for count, (one, other) in pairs if one != other), min(len(old), len(new)))


def _first_places(lines: Sequence[str], common: Sequence[str]) -> Iterator[int]:
    """Yield the first places in ``lines`` where ``common`` is a subsequence, between -1 and the number of lines."""
    place = -1
    yield place
    for line in common:
        place = lines.index(line, place + 1)
        yield place
    yield len(lines)


def _longest_common(old: Sequence[str], new: Sequence[str]) -> list[str] | None:
    """Return a longest common subsequence, None if the search exceeds its bounds.

    A line that stands in one text only cannot be part of it. Without these lines, new and rewritten paragraphs are
    free, and only the edits of lines that stand in both texts count towards the bounds.
    """
    common = set(old).intersection(new)
    old, new = ([line for line in lines if line in common] for lines in (old, new))
    rounds = _search(old, new)
    return None if rounds is None else list(_trace_back(rounds, old, len(new)))[::-1]


class _Round(NamedTuple):
    """The furthest positions in the old text after a number of edits, one for each second diagonal from ``low``.

    The diagonal of a pair of positions is the one in the old text minus the one in the new text.
    """

    low: int
    reach: array[int]

    def on(self, diagonal: int) -> int:
        """Return the furthest position on a diagonal, -1 if the edits do not suffice to get there."""
        place = (diagonal - self.low) // 2
        return self.reach[place] if 0 <= place < len(self.reach) else -1


def _search(old: Sequence[str], new: Sequence[str]) -> list[_Round] | None:
    """Return the rounds of Myers' search, None beyond the bounds; the last one reaches the end of both texts."""
    height, width = len(old), len(new)
    limit = min(MAX_EDITS, MAX_COMPARISONS // (height + width + 1))
    if abs(height - width) > limit:
        return None
    rounds: list[_Round] = []
    # The positions by diagonal; diagonal 0 stands at `zero`.
    zero = limit + 1
    reach = [-1] * (2 * zero + 1)
    reach[zero + 1] = 0
    for edits in range(limit + 1):
        # Diagonals that leave the texts are not searched.
        low, high = 2 * max(0, edits - width) - edits, edits - 2 * max(0, edits - height)
        for diagonal in range(low, high + 1, 2):
            at = zero + diagonal
            i = max(reach[at - 1] + 1, reach[at + 1])
            j = i - diagonal
            while i < height and j < width and old[i] == new[j]:
                i, j = i + 1, j + 1
            reach[at] = i
        rounds.append(_Round(low, array("i", reach[zero + low : zero + high + 1 : 2])))
        if reach[zero + height - width] == height:
            return rounds
    return None


def _trace_back(rounds: Sequence[_Round], old: Sequence[str], width: int) -> Iterator[str]:
    """Yield the common lines on the way that the search found, the last one first."""
    i, diagonal = len(old), len(old) - width
    for before in reversed(rounds[:-1]):
        by_removal, by_insertion = before.on(diagonal - 1) + 1, before.on(diagonal + 1)
        start = max(by_removal, by_insertion)
        yield from old[start:i][::-1]
        i, diagonal = (start, diagonal + 1) if start == by_insertion else (start - 1, diagonal - 1)
    yield from old[:i][::-1]

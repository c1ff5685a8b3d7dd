"""The three-way merge of texts by lines: hunks that are merged, and hunks that clash."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

from app.domain.merging.line_diff import Change, diff, split_lines

# Lines of the base, from a start up to an end, excluded.
Span = tuple[int, int]


@dataclass(frozen=True)
class Hunk:
    """A part of the base, the same part of each version in their order, and its merge, None where they clash.

    A part of a text is some of its lines, with their ends. A value that is not merged by lines is one hunk, and None
    in ``base`` or ``versions`` stands for an absent one.
    """

    base: Any
    versions: tuple[Any, ...]
    merged: str | None = None


@dataclass(frozen=True)
class Clean:
    """The merged value, None if it is absent."""

    value: Any


@dataclass(frozen=True)
class Clash:
    """Hunks that cover all of each text. At least one clashes, and merged ones and clashing ones alternate."""

    hunks: tuple[Hunk, ...]


def merge_texts(base: str, versions: Sequence[str]) -> Clean | Clash:
    """Merge the changes that each of ``versions`` made to ``base``, by lines. The length of a result is not limited.

    Changes that overlap or touch clash, unless they are the same: between two that are merged, there is a line that
    all texts have in common. A result is clean only if its own changes are exactly those of the versions. So it has
    each line that a version added, merging a version again changes nothing, and merging the versions one after the
    other gives the same in every order that is clean.
    """
    lines = split_lines(base)
    changes = [diff(lines, split_lines(version)) for version in versions]
    union = sorted(set(chain.from_iterable(changes)))
    spans = _spans(union)
    if len(spans) == len(union):
        merged = _replace(lines, (0, len(lines)), union)
        if diff(lines, merged) == union:
            return Clean("".join(merged))
    hunks = _hunks(lines, changes, spans)
    if all(hunk.merged is not None for hunk in hunks):
        hunks = _hunks(lines, changes, [(spans[0][0], spans[-1][1])])
    return Clash(hunks)


def _spans(changes: Iterable[Change]) -> list[Span]:
    """Return the spans of changes that are ordered by their start; those that overlap or touch share a span."""
    spans: list[Span] = []
    for start, end, _ in changes:
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def _replace(base: Sequence[str], span: Span, changes: Iterable[Change]) -> list[str]:
    """Return the lines of ``span`` after ``changes`` that lie in it, in order and apart."""
    lines: list[str] = []
    position, end = span
    for change in changes:
        lines += base[position : change.start]
        lines += change.lines
        position = change.end
    lines += base[position:end]
    return lines


def _hunks(base: Sequence[str], changes: Sequence[Sequence[Change]], spans: Iterable[Span]) -> tuple[Hunk, ...]:
    """Return the hunks of ``spans`` and of the common lines between them, neighbours that are merged as one."""
    hunks = []
    for _, group in groupby(_parts(base, changes, spans), lambda part: part.merged is None):
        parts = list(group)
        texts = ("".join(column) for column in zip(*(part.versions for part in parts), strict=True))
        merged = [part.merged for part in parts if part.merged is not None]
        hunks.append(Hunk("".join(part.base for part in parts), tuple(texts), "".join(merged) if merged else None))
    return tuple(hunks)


def _parts(base: Sequence[str], changes: Sequence[Sequence[Change]], spans: Iterable[Span]) -> Iterator[Hunk]:
    """Yield a hunk for each span and for the lines before, between and after the spans."""
    position = 0
    for start, end in spans:
        if position < start:
            yield _common("".join(base[position:start]), len(changes))
        yield _changed(base, changes, (start, end))
        position = end
    if position < len(base):
        yield _common("".join(base[position:]), len(changes))


def _common(text: str, count: int) -> Hunk:
    return Hunk(text, (text,) * count, text)


def _changed(base: Sequence[str], changes: Sequence[Sequence[Change]], span: Span) -> Hunk:
    """Return the hunk of a span: merged if all versions that changed it have the same text there."""
    start, end = span
    text = "".join(base[start:end])
    versions = tuple("".join(_replace(base, span, _within(each, span))) for each in changes)
    different = {version for version in versions if version != text}
    return Hunk(text, versions, different.pop() if len(different) == 1 else None)


def _within(changes: Sequence[Change], span: Span) -> Sequence[Change]:
    """Return those of a version's changes that lie in ``span``."""
    start = attrgetter("start")
    return changes[bisect_left(changes, span[0], key=start) : bisect_right(changes, span[1], key=start)]

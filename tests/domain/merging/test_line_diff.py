"""Differences of lists of lines against a plain reference, and the bounds of the search."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.merging import line_diff
from app.domain.merging.line_diff import Change, diff, split_lines

pytestmark = pytest.mark.nodatabase

lines = st.lists(st.sampled_from("abc"), max_size=12)


class CountedLine(str):
    """A line that counts how often it is compared."""

    __slots__ = ()
    comparisons = 0

    def __eq__(self, other: object) -> bool:
        CountedLine.comparisons += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def replace(old: list[str], changes: list[Change]) -> list[str]:
    """Return ``old`` after ``changes``."""
    new = list(old)
    for start, end, added in reversed(changes):
        new[start:end] = added
    return new


def shortest_edit(old: list[str], new: list[str]) -> int:
    """Return how many lines the shortest edit removes and adds, by trying every way."""

    @cache
    def cost(i: int, j: int) -> int:
        if i == len(old) or j == len(new):
            return len(old) - i + len(new) - j
        if old[i] == new[j]:
            return cost(i + 1, j + 1)
        return 1 + min(cost(i + 1, j), cost(i, j + 1))

    return cost(0, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n", ["\n"]),
        ("a", ["a"]),
        ("a\nb", ["a\n", "b"]),
        ("a\r\nb\rc\n\r", ["a\r\n", "b\r", "c\n", "\r"]),
        ("\r\r\n\n", ["\r", "\r\n", "\n"]),
        ("a\vb\fc\x1cd\x85e\u2028f\u2029g", ["a\vb\fc\x1cd\x85e\u2028f\u2029g"]),
    ],
)
def test_a_line_ends_with_a_newline_a_return_or_both(text: str, expected: list[str]) -> None:
    assert split_lines(text) == expected


@given(st.text(st.sampled_from("ab\r\n\f\u2028")))
@settings(max_examples=50)
def test_the_lines_of_a_text_joined_are_the_text(text: str) -> None:
    assert "".join(split_lines(text)) == text


@given(lines, lines)
@settings(max_examples=50)
def test_the_changes_turn_one_text_into_the_other(old: list[str], new: list[str]) -> None:
    assert replace(old, diff(old, new)) == new


@given(lines, lines)
@settings(max_examples=50)
def test_the_changes_are_the_shortest_edit(old: list[str], new: list[str]) -> None:
    assert sum(end - start + len(added) for start, end, added in diff(old, new)) == shortest_edit(old, new)


@given(lines, lines)
@settings(max_examples=50)
def test_there_is_a_common_line_between_two_changes(old: list[str], new: list[str]) -> None:
    assert all(one.end < other.start for one, other in pairwise(diff(old, new)))


def test_the_last_of_equal_lines_is_the_removed_one() -> None:
    assert diff(list("xxx"), list("xx")) == [Change(2, 3, ())]
    assert diff(list("abab"), list("zab")) == [Change(0, 0, ("z",)), Change(2, 4, ())]


def test_beyond_the_bounds_everything_between_the_common_ends_is_one_change(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = list("s1a2b3e"), list("s3a1b2e")
    assert len(diff(old, new)) > 1
    monkeypatch.setattr(line_diff, "MAX_EDITS", 2)
    assert diff(old, new) == [Change(1, 6, tuple("3a1b2"))]


def test_a_line_of_one_text_only_costs_nothing_of_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_diff, "MAX_EDITS", 0)
    assert diff(list("1a2b3"), list("4a5b6")) == [Change(i, i + 1, (new,)) for i, new in ((0, "4"), (2, "5"), (4, "6"))]


@pytest.mark.parametrize(("old", "new"), [("ab" * 500, "aab" * 333), ("ab" * 500, "ba" * 499), ("a" * 999, "ba" * 500)])
def test_the_comparisons_of_a_search_are_bounded(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_diff, "MAX_COMPARISONS", 20_000)
    monkeypatch.setattr(CountedLine, "comparisons", 0)
    diff([CountedLine(line) for line in old], [CountedLine(line) for line in new])
    # The search, and a few for each line outside of it.
    assert CountedLine.comparisons < 20_000 + 8 * (len(old) + len(new))

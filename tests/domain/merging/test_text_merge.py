"""Merges of texts: examples, and properties of arbitrary texts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.merging import line_diff
from app.domain.merging.text_merge import Clash, Clean, Hunk, merge_texts
from tests.domain.merging.texts import check_merge, check_orders

pytestmark = pytest.mark.nodatabase

LINES = ["a\n", "b\n", "c\r\n", "d\r", "\n"]


def text(letters: str) -> str:
    """Return a text with one line for each letter."""
    return "".join(f"{letter}\n" for letter in letters)


@st.composite
def versions_of(draw: st.DrawFn, count: int) -> tuple[str, list[str]]:
    """Return a base of few different lines, and versions with a few changes each."""
    base = draw(st.lists(st.sampled_from(LINES), max_size=12))
    tail = st.sampled_from(["", "", "a", "e"])
    added = st.lists(st.sampled_from([*LINES, "e\n"]), max_size=2)
    versions = []
    for _ in range(count):
        lines = list(base)
        for place, removed in draw(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), max_size=2)):
            lines[place : place + removed] = draw(added)
        versions.append("".join(lines) + draw(tail))
    return "".join(base) + draw(tail), versions


@pytest.mark.parametrize(
    ("base", "one", "other", "merged"),
    [
        ("abc", "Abc", "abC", "AbC"),
        ("abc", "abc", "axc", "axc"),
        ("abc", "axc", "axc", "axc"),
        ("abcde", "xabcde", "abcdex", "xabcdex"),
        ("abcde", "bcde", "abcdx", "bcdx"),
        ("abcde", "Abcde", "AbcdE", "AbcdE"),
        ("abc", "", "", ""),
        ("", "a", "a", "a"),
        ("xxx", "xx", "zxx", "zxx"),
    ],
)
def test_changes_in_different_places_are_merged(base: str, one: str, other: str, merged: str) -> None:
    assert check_merge(text(base), [text(one), text(other)]) == Clean(text(merged))


@pytest.mark.parametrize(
    ("base", "one", "other", "clashing"),
    [
        ("abc", "axc", "ayc", ("b", "x", "y")),
        ("abc", "ac", "axc", ("b", "", "x")),
        ("ac", "abc", "axc", ("", "b", "x")),
        ("ac", "abc", "abxc", ("", "b", "bx")),
        ("abcd", "aBcd", "abCd", ("bc", "Bc", "bC")),
        ("abcd", "abxcd", "aBcd", ("b", "bx", "B")),
        ("", "a", "b", ("", "a", "b")),
        ("abc", "", "abC", ("abc", "", "abC")),
    ],
)
def test_changes_without_a_common_line_between_clash(
    base: str, one: str, other: str, clashing: tuple[str, str, str]
) -> None:
    outcome = check_merge(text(base), [text(one), text(other)])
    assert isinstance(outcome, Clash)
    in_base, in_one, in_other = map(text, clashing)
    assert [hunk for hunk in outcome.hunks if hunk.merged is None] == [Hunk(in_base, (in_one, in_other))]


def test_hunks_show_merged_text_between_clashes() -> None:
    outcome = merge_texts(text("abcde"), [text("xbCde"), text("ybcdE")])
    merged = Hunk(text("bcde"), (text("bCde"), text("bcdE")), text("bCdE"))
    assert outcome == Clash((Hunk("a\n", ("x\n", "y\n")), merged))


def test_one_hunk_has_the_parts_of_all_versions() -> None:
    outcome = merge_texts(text("abc"), [text("xbc"), text("abc"), text("ybc"), text("xbc")])
    assert isinstance(outcome, Clash)
    assert outcome.hunks[0] == Hunk("a\n", ("x\n", "a\n", "y\n", "x\n"))


def test_a_last_line_without_an_end_is_not_joined_to_the_next() -> None:
    assert isinstance(check_merge("a\nb", ["a\nb\nc", "a\nB"]), Clash)
    assert isinstance(check_merge("a\nb\n", ["a\nB", "a\nb\nc\n"]), Clash)


def test_another_line_end_is_another_line() -> None:
    assert isinstance(check_merge("a\nb\n", ["a\r\nb\r\n", "a\nB\n"]), Clash)
    assert check_merge("a\rb\rc", ["A\rb\rc", "a\rb\rC"]) == Clean("A\rb\rC")


def test_a_result_that_would_not_show_its_changes_clashes() -> None:
    """The shortest edit from `pppm` to `mppp` moves `m`; merged again with `m`, it would clash."""
    outcome = check_merge(text("pppm"), [text("m"), text("pppmppp")])
    assert outcome == Clash((Hunk(text("pppm"), (text("m"), text("pppmppp"))),))


def test_changes_beyond_the_bounds_clash_with_others(monkeypatch: pytest.MonkeyPatch) -> None:
    base, moved, other = text("a123456z"), text("a654321z"), text("A123456z")
    monkeypatch.setattr(line_diff, "MAX_EDITS", 2)
    assert check_merge(base, [moved, base, moved]) == Clean(moved)
    assert isinstance(check_merge(base, [moved, other]), Clash)


@given(versions_of(2))
@settings(max_examples=80)
def test_a_merge_of_two_versions_keeps_every_promise(texts: tuple[str, list[str]]) -> None:
    check_merge(*texts)


@given(versions_of(3))
@settings(max_examples=30)
def test_a_merge_of_three_versions_keeps_every_promise(texts: tuple[str, list[str]]) -> None:
    check_merge(*texts)
    check_orders(*texts)


@given(versions_of(2))
@settings(max_examples=40)
def test_a_merge_at_the_bounds_keeps_every_promise(texts: tuple[str, list[str]]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(line_diff, "MAX_EDITS", 1)
        check_merge(*texts)


@given(versions_of(1))
@settings(max_examples=40)
def test_the_same_version_twice_or_beside_the_base_is_the_result(texts: tuple[str, list[str]]) -> None:
    base, (version,) = texts
    for versions in ([version], [version, version], [base, version], [base, version, base, version]):
        assert check_merge(base, versions) == Clean(version)

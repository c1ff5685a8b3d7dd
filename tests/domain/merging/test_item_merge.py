"""Merges of items, member by member."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.merging.item_merge import merge_items
from app.domain.merging.text_merge import Clash, Clean, Hunk
from app.domain.resources import DOCUMENT, PROJECT

pytestmark = pytest.mark.nodatabase

BASE = {"title": "T", "content": "a\nb\nc\n", "project_id": 1}
MOVED = {**BASE, "project_id": 2}


def without(name: str) -> dict[str, Any]:
    """Return the base without a member."""
    return {member: value for member, value in BASE.items() if member != name}


@pytest.mark.parametrize(
    ("versions", "merged"),
    [
        ([BASE, BASE], BASE),
        ([MOVED, {**BASE, "title": "U"}], {**MOVED, "title": "U"}),
        ([MOVED, MOVED], MOVED),
        ([{**BASE, "content": "A\nb\nc\n"}, {**BASE, "content": "a\nb\nC\n"}], {**BASE, "content": "A\nb\nC\n"}),
        ([without("content"), MOVED], {"title": "T", "project_id": 2}),
        ([without("project_id"), without("project_id")], without("project_id")),
        ([{**BASE, "content": ""}, BASE], {**BASE, "content": ""}),
    ],
)
def test_a_member_that_one_version_changed_is_merged(versions: list[dict[str, Any]], merged: dict[str, Any]) -> None:
    assert merge_items(DOCUMENT.members, BASE, versions).value == merged
    assert merge_items(DOCUMENT.members, BASE, versions[::-1]).value == merged


@pytest.mark.parametrize(
    ("versions", "name", "hunk"),
    [
        ([MOVED, {**BASE, "project_id": 3}], "project_id", Hunk(1, (2, 3))),
        ([MOVED, without("project_id")], "project_id", Hunk(1, (2, None))),
        ([{**BASE, "title": "U"}, {**BASE, "title": "V"}], "title", Hunk("T", ("U", "V"))),
        ([without("content"), {**BASE, "content": "A\nb\nc\n"}], "content", Hunk("a\nb\nc\n", (None, "A\nb\nc\n"))),
        ([without("content"), {**BASE, "content": ""}], "content", Hunk("a\nb\nc\n", (None, ""))),
    ],
)
def test_a_member_that_versions_changed_differently_clashes(
    versions: list[dict[str, Any]], name: str, hunk: Hunk
) -> None:
    merge = merge_items(DOCUMENT.members, BASE, versions)
    assert merge.value is None
    assert merge.members == {**{member: Clean(BASE[member]) for member in BASE}, name: Clash((hunk,))}


def test_a_text_that_two_versions_added_clashes() -> None:
    base, *versions = ({"name": "P", **text} for text in ({}, {"description": "a\n"}, {"description": "b\n"}))
    merge = merge_items(PROJECT.members, base, versions)
    assert merge.members == {"name": Clean("P"), "description": Clash((Hunk(None, ("a\n", "b\n")),))}


def test_a_title_is_not_merged_by_lines() -> None:
    base, *versions = ({"title": title} for title in ("a\nb\nc", "A\nb\nc", "a\nb\nC"))
    merge = merge_items(DOCUMENT.members, base, versions)
    assert merge.members["title"] == Clash((Hunk("a\nb\nc", ("A\nb\nc", "a\nb\nC")),))


def test_an_absent_member_stays_absent() -> None:
    merge = merge_items(PROJECT.members, {"name": "P"}, [{"name": "P"}, {"name": "Q"}])
    assert merge.value == {"name": "Q"}
    assert merge.members["description"] == Clean(None)


def test_the_members_of_a_result_are_in_the_order_of_the_type() -> None:
    reverse = dict(reversed(BASE.items()))
    value = merge_items(DOCUMENT.members, BASE, [reverse, BASE]).value
    assert value is not None
    assert list(value) == list(DOCUMENT.members)


def test_a_clash_becomes_json_without_knowledge_of_the_merge() -> None:
    versions = {'"2-a"': {**BASE, "content": "x\nb\nC\n"}, '"2-b"': {**BASE, "content": "y\nb\nc\n"}}
    content = merge_items(DOCUMENT.members, BASE, list(versions.values())).members["content"]
    assert isinstance(content, Clash)
    assert [
        {"base": hunk.base, "versions": dict(zip(versions, hunk.versions, strict=True))}
        if hunk.merged is None
        else {"merged": hunk.merged}
        for hunk in content.hunks
    ] == [{"base": "a\n", "versions": {'"2-a"': "x\n", '"2-b"': "y\n"}}, {"merged": "b\nC\n"}]

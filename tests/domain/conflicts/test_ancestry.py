"""The nearest common ancestors of revisions, merged leaves, and merges of merges."""

from __future__ import annotations

import pytest

from app.domain.conflicts.ancestry import Node, Unknown, contained, merges_in_a_row, nearest_common
from app.store.items import Fields

pytestmark = pytest.mark.nodatabase


class Graph:
    """Revisions with short names, such as `2-a`, and their parents; those of a merge begin with `merge`."""

    def __init__(self, lines: str) -> None:
        rows = [line.split() for line in lines.strip().splitlines()]
        self._nodes = {
            name: Node(tuple(it for it in parents if it != "merge"), "merge" in parents) for name, *parents in rows
        }

    def node(self, revision: str) -> Node:
        if revision not in self._nodes:
            raise Unknown(revision)
        return self._nodes[revision]

    def members(self, _: str) -> Fields:
        return {}


FORK = Graph("1-a\n2-a 1-a\n3-a 2-a\n2-b 1-a\n2-c 1-a")
# Both sides merged the same two revisions, and went on.
CRISS_CROSS = Graph("1-a\n2-a 1-a\n2-b 1-a\n3-a merge 2-a 2-b\n3-b merge 2-b 2-a\n4-a 3-a\n4-b 3-b")
# One side merged the other's revision, which went on from there.
MERGED_ONCE = Graph("1-a\n2-a 1-a\n2-b 1-a\n3-a merge 2-a 2-b\n3-b 2-b\n4-b 3-b")


@pytest.mark.parametrize(
    ("graph", "groups", "nearest"),
    [
        (FORK, [["3-a"], ["2-b"]], ("1-a",)),
        (FORK, [["3-a"], ["2-a"]], ("2-a",)),
        (FORK, [["3-a"], ["2-b"], ["2-c"]], ("1-a",)),
        (FORK, [["3-a", "2-b"], ["2-c"]], ("1-a",)),
        (FORK, [["3-a", "2-b"], ["2-b"]], ("2-b",)),
        (CRISS_CROSS, [["4-a"], ["4-b"]], ("2-b", "2-a")),
        (CRISS_CROSS, [["4-a"], ["3-a"]], ("3-a",)),
        (MERGED_ONCE, [["3-a"], ["4-b"]], ("2-b",)),
        (Graph("1-a\n1-b"), [["1-a"], ["1-b"]], ()),
    ],
)
def test_the_nearest_common_ancestors(graph: Graph, groups: list[list[str]], nearest: tuple[str, ...]) -> None:
    assert nearest_common(groups, graph) == nearest
    assert nearest_common(groups[::-1], graph) == nearest


def test_an_ancestor_of_a_common_one_is_not_needed() -> None:
    assert nearest_common([["3-a"], ["3-b"]], Graph("3-a 2-a\n3-b 2-a\n2-a 1-a")) == ("2-a",)


def test_an_unknown_revision_above_the_common_ancestor_is_unknown() -> None:
    with pytest.raises(Unknown, match="2-b"):
        nearest_common([["3-a"], ["3-b"]], Graph("3-a 2-a\n3-b 2-b\n2-a 1-a\n1-a"))


def test_a_merge_of_a_later_generation_is_found() -> None:
    """The API may write a resolution on top of a leaf that has a shorter history."""
    graph = Graph("1-a\n2-a 1-a\n3-a merge 2-a 5-b\n5-b 4-b\n4-b 3-b\n3-b 2-b\n2-b 1-a\n6-b 5-b")
    assert nearest_common([["3-a"], ["6-b"]], graph) == ("5-b",)
    assert contained(["3-a", "5-b"], graph) == {"5-b"}


def test_leaves_that_a_merge_has_joined_are_contained_in_its_descendants() -> None:
    assert contained(["3-a", "2-b"], MERGED_ONCE) == {"2-b"}
    assert contained(["4-a", "2-b"], CRISS_CROSS) == {"2-b"}
    assert contained(["4-a", "4-b"], CRISS_CROSS) == set()
    assert contained(["3-a", "2-b", "2-c"], FORK) == set()


def chain(length: int) -> Graph:
    """Return merges 2-m, 3-m and so on; each joined the one before and one that another region made."""
    lines = ["1-m", "1-n"]
    for generation in range(2, length + 2):
        below = f"{generation - 1}-m {generation - 1}-n"
        lines += [f"{generation}-m merge {below}", f"{generation}-n merge {below}"]
    return Graph("\n".join(lines))


@pytest.mark.parametrize("length", [0, 1, 5])
def test_merges_of_merges_are_counted(length: int) -> None:
    assert merges_in_a_row(f"{length + 1}-m", chain(length), 10) == length


def test_no_more_merges_are_counted_than_the_limit() -> None:
    assert merges_in_a_row("21-m", chain(20), 11) == 11


def test_an_edit_interrupts_the_merges() -> None:
    graph = Graph("1-a\n2-a merge 1-a\n3-a 2-a\n4-a merge 3-a\n5-a merge 4-a\n5-b 4-a\n6-a merge 5-a 5-b")
    assert merges_in_a_row("5-a", graph, 10) == 2
    assert merges_in_a_row("6-a", graph, 10) == 1


def test_merges_of_unknown_revisions_are_counted() -> None:
    assert merges_in_a_row("3-a", Graph("3-a merge 2-a 2-x\n2-a merge 1-x"), 10) == 2

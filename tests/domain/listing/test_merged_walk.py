"""Walks over several projects against a plain model, also while documents come, go and move between two reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.listing import merged_walk
from app.domain.listing.merged_walk import MergedWalk
from app.domain.resource_types import DOCUMENT
from app.store import Row

pytestmark = pytest.mark.nodatabase

PROJECTS, HIGHEST = (1, 2, 3), 12

# A document and where it is from now on: in a project, in none (0), or nowhere (None).
Change = tuple[int, int | None]


class Index:
    """A database of documents in memory; before each read it changes as ``meanwhile`` says."""

    def __init__(self) -> None:
        self.places: dict[int, int] = {}
        self.meanwhile: list[Change] = []
        self._changed: list[int] = []
        # The places that each document was in, or None where it was not there, since ``watch``.
        self.seen: dict[int, set[int | None]] = {}
        self.reads = 0

    def watch(self, meanwhile: Sequence[Change]) -> None:
        """Change as ``meanwhile`` says from now on, and remember where documents were."""
        self.meanwhile = list(meanwhile)
        self.seen = {public_id: {self.places.get(public_id)} for public_id in range(1, HIGHEST + 1)}

    def change(self, public_id: int, place: int | None) -> None:
        """Put a document somewhere else, or delete it."""
        if place is None:
            self.places.pop(public_id, None)
        else:
            self.places[public_id] = place
        self._changed.append(public_id)
        self.seen.setdefault(public_id, set()).add(place)

    def sequence(self) -> object:
        """Return how much has changed."""
        self._read()
        return len(self._changed)

    def changed_since(self, sequence: Any, *, limit: int) -> tuple[list[str], object]:
        """Return what changed since, each document at its last change."""
        self._read()
        found: list[str] = []
        for at in range(sequence, len(self._changed)):
            if self._changed[at] not in self._changed[at + 1 :]:
                found.append(DOCUMENT.doc_id(self._changed[at]))
            if len(found) == limit:
                return found, at + 1
        return found, len(self._changed)

    def view(self, _: str, name: str, *, keys: Sequence[str] | None = None, **asked: Any) -> list[Row]:
        """Return rows as the two views of documents do."""
        self._read()
        if name == "by_id":
            assert keys is not None
            return [self._row(i) for i in map(DOCUMENT.public_id, keys) if i in self.places]
        (project, start), (_, end) = asked["startkey"], asked["endkey"]
        low, high = sorted((DOCUMENT.public_id(start), DOCUMENT.public_id(end)))
        found = [i for i, place in self.places.items() if place == int(project) and low <= i <= high]
        return [self._row(i) for i in sorted(found, reverse=asked["descending"])[: asked["limit"]]]

    def _row(self, public_id: int) -> Row:
        value = {"rev": f"{self._changed.count(public_id)}-0", "project_id": self.places[public_id] or None}
        return Row(DOCUMENT.doc_id(public_id), None, value)

    def _read(self) -> None:
        self.reads += 1
        if self.meanwhile:
            self.change(*self.meanwhile.pop(0))


@dataclass(frozen=True)
class Step:
    """What changes before a listing, what is listed, and what changes while it is."""

    before: list[Change]
    projects: frozenset[int]
    start: int
    count: int
    descending: bool
    meanwhile: list[Change]


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """Let little be remembered, so that few documents reach every limit."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(merged_walk, "MOST_CHANGES", 4)
        patched.setattr(merged_walk, "LONGEST", 4)
        patched.setattr(merged_walk, "MOST_ROWS", 24)
        patched.setattr(merged_walk, "SPARE", 1)
        yield


def steps(most_meanwhile: int) -> st.SearchStrategy[list[Step]]:
    """Return several listings in a row."""
    change = st.tuples(st.integers(1, HIGHEST), st.sampled_from([*PROJECTS, *PROJECTS, 0, None]))
    step = st.builds(
        Step,
        before=st.lists(change, max_size=10) | st.lists(change, min_size=10, max_size=20),
        projects=st.frozensets(st.sampled_from(PROJECTS)) | st.just(frozenset(PROJECTS)),
        start=st.just(0) | st.integers(0, HIGHEST + 1),
        count=st.integers(1, 8),
        descending=st.booleans(),
        meanwhile=st.lists(change, max_size=most_meanwhile),
    )
    return st.lists(step, min_size=1, max_size=5)


def hold(asked: Sequence[Step], check: Callable[[Index, Step, list[int]], None]) -> None:
    """List what is asked one after the other with one walk, and check each."""
    index = Index()
    walk = MergedWalk(index)  # type: ignore[arg-type]
    for step in asked:
        for change in step.before:
            index.change(*change)
        index.watch(step.meanwhile)
        rows = walk.rows(step.projects, step.start, step.count, descending=step.descending)
        check(index, step, [row.public_id for row in rows])


@given(steps(0))
def test_rows_are_those_of_the_projects_in_order(asked: list[Step]) -> None:
    def check(index: Index, step: Step, found: list[int]) -> None:
        ids = sorted((i for i, place in index.places.items() if place in step.projects), reverse=step.descending)
        ahead = [i for i in ids if (i <= step.start if step.descending else i >= step.start)]
        assert found == ahead[: step.count]

    hold(asked, check)


@given(steps(6))
@example([Step([(1, 1), (2, 2)], frozenset((1, 2)), 0, 2, False, [(3, 0), (3, 0), (1, 2)])])
@example([Step([(1, 2), (2, 2)], frozenset((1, 2)), 0, 2, False, [(3, 0), (3, 0), (1, 1)])])
@settings(max_examples=300)
def test_what_is_there_all_the_while_is_listed_once(asked: list[Step]) -> None:
    """A document that only moves from one of the projects to another is there all the while."""

    def check(index: Index, step: Step, found: list[int]) -> None:
        assert found == sorted(set(found), reverse=step.descending)
        first, last = step.start, found[-1] if len(found) == step.count else 0 if step.descending else HIGHEST
        span = range(last, first + 1) if step.descending else range(first, last + 1)
        places = {i: index.seen.get(i, {None}) for i in span}
        assert {i for i in span if places[i] <= step.projects} <= set(found)
        assert all(index.seen[i] & step.projects for i in found)

    hold(asked, check)


def test_a_longer_page_than_is_remembered_is_read_in_the_end() -> None:
    index = Index()
    for public_id in range(1, HIGHEST + 1):
        index.change(public_id, 1)
    walk = MergedWalk(index)  # type: ignore[arg-type]
    rows = walk.rows({1, 2, 3}, 0, HIGHEST, descending=False)
    assert [row.public_id for row in rows] == list(range(1, HIGHEST + 1))


def test_what_cannot_be_read_leaves_nothing_remembered() -> None:
    """Whatever goes wrong when changes are taken in: they are not asked for again."""
    index = Index()
    index.change(1, 1)
    walk = MergedWalk(index)  # type: ignore[arg-type]
    assert walk.rows({1}, 0, 5, descending=False)
    index.change(2, 1)
    whole, index.view = index.view, lambda *_, **__: [][0]  # type: ignore[method-assign]
    with pytest.raises(IndexError):
        walk.rows({1}, 0, 5, descending=False)
    index.view = whole  # type: ignore[method-assign]
    assert [row.public_id for row in walk.rows({1}, 0, 5, descending=False)] == [1, 2]

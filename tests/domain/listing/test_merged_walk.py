"""Listings of several projects against a plain model, also while documents appear, disappear and move between reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.listing import merged_walk
from app.domain.listing.merged_walk import MergedWalk
from app.domain.resources import DOCUMENT
from app.store import Row

pytestmark = pytest.mark.nodatabase

PROJECTS, HIGHEST = (1, 2, 3), 12

# A document and its new place: a project, no project (0), or deleted (None).
Change = tuple[int, int | None]


class Index:
    """A database of documents in memory. Before each read it applies the next change of ``meanwhile``."""

    def __init__(self) -> None:
        self.places: dict[int, int] = {}
        self.meanwhile: list[Change] = []
        self._changed: list[int] = []
        # Every place of each document since ``watch``; None while it did not exist.
        self.seen: dict[int, set[int | None]] = {}
        self.reads = 0

    def watch(self, meanwhile: Sequence[Change]) -> None:
        """Apply ``meanwhile`` from now on, and record the places of documents."""
        self.meanwhile = list(meanwhile)
        self.seen = {public_id: {self.places.get(public_id)} for public_id in range(1, HIGHEST + 1)}

    def change(self, public_id: int, place: int | None) -> None:
        """Move a document, or delete it."""
        if place is None:
            self.places.pop(public_id, None)
        else:
            self.places[public_id] = place
        self._changed.append(public_id)
        self.seen.setdefault(public_id, set()).add(place)

    def sequence(self) -> object:
        """Return the number of changes."""
        self._read()
        return len(self._changed)

    def changed_since(self, sequence: Any, *, limit: int) -> tuple[list[str], object]:
        """Return the documents that changed, each at its last change."""
        self._read()
        doc_ids: list[str] = []
        for at in range(sequence, len(self._changed)):
            if self._changed[at] not in self._changed[at + 1 :]:
                doc_ids.append(DOCUMENT.doc_id(self._changed[at]))
            if len(doc_ids) == limit:
                return doc_ids, at + 1
        return doc_ids, len(self._changed)

    def view(self, _: str, name: str, *, keys: Sequence[str] | None = None, **options: Any) -> list[Row]:
        """Return rows like the two views of documents."""
        self._read()
        if name == "by_id":
            assert keys is not None
            return [self._row(i) for i in map(DOCUMENT.public_id, keys) if i in self.places]
        (project, start), (_, end) = options["startkey"], options["endkey"]
        low, high = sorted((DOCUMENT.public_id(start), DOCUMENT.public_id(end)))
        ids = [i for i, place in self.places.items() if place == int(project) and low <= i <= high]
        return [self._row(i) for i in sorted(ids, reverse=options["descending"])[: options["limit"]]]

    def _row(self, public_id: int) -> Row:
        value = {"rev": f"{self._changed.count(public_id)}-0", "project_id": self.places[public_id] or None}
        return Row(DOCUMENT.doc_id(public_id), None, value)

    def _read(self) -> None:
        self.reads += 1
        if self.meanwhile:
            self.change(*self.meanwhile.pop(0))


@dataclass(frozen=True)
class Step:
    """A listing, the changes before it, and the changes during it."""

    before: list[Change]
    projects: frozenset[int]
    start: int
    count: int
    descending: bool
    meanwhile: list[Change]


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """Remember little, so that few documents reach every limit."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(merged_walk, "MAX_CHANGES", 4)
        patched.setattr(merged_walk, "MAX_ROWS", 24)
        patched.setattr(merged_walk, "SPARE_ROWS", 1)
        yield


def steps(most_meanwhile: int) -> st.SearchStrategy[list[Step]]:
    """Return a sequence of listings."""
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


def run(listings: Sequence[Step], check: Callable[[Index, Step, list[int]], None]) -> None:
    """Run the listings in turn on one MergedWalk, and check each."""
    index = Index()
    walk = MergedWalk(index)  # type: ignore[arg-type]
    for step in listings:
        for change in step.before:
            index.change(*change)
        index.watch(step.meanwhile)
        rows = walk.rows(step.projects, step.start, step.count, descending=step.descending)
        check(index, step, [row.public_id for row in rows])


@given(steps(0))
def test_rows_are_the_documents_of_the_projects_in_order(listings: list[Step]) -> None:
    def check(index: Index, step: Step, listed: list[int]) -> None:
        ids = sorted((i for i, place in index.places.items() if place in step.projects), reverse=step.descending)
        ahead = [i for i in ids if (i <= step.start if step.descending else i >= step.start)]
        assert listed == ahead[: step.count]

    run(listings, check)


@given(steps(6))
@example([Step([(1, 1), (2, 2)], frozenset((1, 2)), 0, 2, False, [(3, 0), (3, 0), (1, 2)])])
@example([Step([(1, 2), (2, 2)], frozenset((1, 2)), 0, 2, False, [(3, 0), (3, 0), (1, 1)])])
@settings(max_examples=300)
def test_a_document_that_exists_throughout_is_listed_once(listings: list[Step]) -> None:
    """A document that only moves between the listed projects exists throughout."""

    def check(index: Index, step: Step, listed: list[int]) -> None:
        assert listed == sorted(set(listed), reverse=step.descending)
        first, last = step.start, listed[-1] if len(listed) == step.count else 0 if step.descending else HIGHEST
        span = range(last, first + 1) if step.descending else range(first, last + 1)
        places = {i: index.seen.get(i, {None}) for i in span}
        assert {i for i in span if places[i] <= step.projects} <= set(listed)
        assert all(index.seen[i] & step.projects for i in listed)

    run(listings, check)


def test_a_page_longer_than_the_memory_is_read() -> None:
    index = Index()
    for public_id in range(1, HIGHEST + 1):
        index.change(public_id, 1)
    walk = MergedWalk(index)  # type: ignore[arg-type]
    rows = walk.rows({1, 2, 3}, 0, HIGHEST, descending=False)
    assert [row.public_id for row in rows] == list(range(1, HIGHEST + 1))


def test_changes_are_applied_after_a_failed_read() -> None:
    """Changes that could not be applied are applied by the next listing."""
    index = Index()
    index.change(1, 1)
    walk = MergedWalk(index)  # type: ignore[arg-type]
    assert walk.rows({1}, 0, 5, descending=False)
    index.change(2, 1)
    view, index.view = index.view, lambda *_, **__: [][0]  # type: ignore[method-assign]
    with pytest.raises(IndexError):
        walk.rows({1}, 0, 5, descending=False)
    index.view = view  # type: ignore[method-assign]
    assert [row.public_id for row in walk.rows({1}, 0, 5, descending=False)] == [1, 2]


def test_rows_of_a_database_that_was_made_again_are_forgotten() -> None:
    index, identities = Index(), ["old"]
    index.change(1, 1)
    walk = MergedWalk(index, lambda: identities[-1])  # type: ignore[arg-type]
    assert [row.public_id for row in walk.rows({1}, 0, 5, descending=False)] == [1]
    index.places.clear()
    identities.append("new")
    assert walk.rows({1}, 0, 5, descending=False) == []

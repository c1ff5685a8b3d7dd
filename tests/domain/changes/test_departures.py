"""The projects that a document has left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.domain.changes.departures import departures, departures_of_all
from app.store.items import StoredItem

pytestmark = pytest.mark.nodatabase

OLD, NEW = "2026-01-01T00:00:00.000000Z", "2026-02-01T00:00:00.000000Z"


def entry(project: int, generation: int, at: str) -> dict[str, Any]:
    return {"project": project, "generation": generation, "at": at}


def item(revision: str, project_id: int | None = None, *entries: dict[str, Any]) -> StoredItem:
    fields: dict[str, Any] = {"id": 1} | ({"project_id": project_id} if project_id else {})
    return StoredItem("document:1", revision, fields | ({"left": list(entries)} if entries else {}))


def test_a_new_document_has_left_no_project() -> None:
    assert departures(None, 10, NEW) == {}


@pytest.mark.parametrize("project_id", [None, 10])
def test_a_document_that_stays_where_it_is_gets_no_entry(project_id: int | None) -> None:
    assert departures(item("4-a", project_id), project_id, NEW) == {}


def test_a_document_that_enters_its_first_project_gets_no_entry() -> None:
    assert departures(item("4-a"), 10, NEW) == {}


@pytest.mark.parametrize("project_id", [None, 11])
def test_a_departure_has_the_generation_and_the_time_of_the_next_revision(project_id: int | None) -> None:
    assert departures(item("9-a", 10), project_id, NEW) == {"left": [entry(10, 10, NEW)]}


def test_entries_are_sorted_by_project_and_kept() -> None:
    before = item("9-a", 10, entry(2, 3, OLD), entry(30, 5, OLD))
    assert departures(before, 2, NEW) == {"left": [entry(2, 3, OLD), entry(10, 10, NEW), entry(30, 5, OLD)]}
    assert departures(before, 10, NEW) == {"left": [entry(2, 3, OLD), entry(30, 5, OLD)]}


def test_a_second_departure_replaces_the_first() -> None:
    assert departures(item("9-a", 10, entry(10, 3, OLD)), None, NEW) == {"left": [entry(10, 10, NEW)]}


def test_a_document_leaves_the_projects_of_the_versions_that_it_supersedes() -> None:
    superseded = [item("9-b", 11, entry(2, 5, NEW), entry(30, 3, OLD)), item("9-c", 12), item("9-d", 10)]
    assert departures(item("9-a", 10, entry(2, 3, OLD)), 12, NEW, superseded) == {
        "left": [entry(2, 5, NEW), entry(10, 10, NEW), entry(11, 10, NEW), entry(30, 3, OLD)]
    }


def test_a_document_in_conflict_has_left_the_projects_of_its_other_leaves() -> None:
    current, other = item("9-a", 10, entry(2, 3, OLD), entry(3, 8, NEW)), item("8-b", 11, entry(3, 4, OLD))
    inside = item("7-c", 10)
    others = [replace(each, fields={**each.fields, "updated_at": NEW}) for each in (other, inside)]
    assert departures_of_all([current, *others]) == [entry(2, 3, OLD), entry(3, 8, NEW), entry(11, 8, NEW)]

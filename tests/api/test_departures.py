"""Every write that takes a document out of a project records it in the hidden member `left`, which no client sees."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.items import Items
from app.domain.resources import DOCUMENT
from app.services import Services
from tests.api.conftest import Caller, Mark


def stored(services: Services, public_id: int) -> dict[str, Any]:
    """Return a document or its tombstone as CouchDB has it."""
    doc_id = DOCUMENT.doc_id(public_id)
    return services.store["documents"].winners([doc_id])[doc_id].document


def left(services: Services, public_id: int) -> list[tuple[int, int]]:
    """Return the projects that a document has left, with the generations."""
    return [(each["project"], each["generation"]) for each in stored(services, public_id).get("left", ())]


@pytest.fixture
def projects(ada: Caller) -> list[int]:
    return [ada.new_project()["id"] for _ in range(3)]


def test_put_and_patch_record_the_project_that_a_document_leaves(
    ada: Caller, services: Services, projects: list[int]
) -> None:
    document_id = ada.new_document("A", project_id=projects[0])["id"]
    path = f"/documents/{document_id}"
    assert left(services, document_id) == []
    ada.request("PUT", path, json={"title": "B", "project_id": projects[1]})
    assert left(services, document_id) == [(projects[0], 2)]
    assert stored(services, document_id)["left"][0]["at"] == stored(services, document_id)["updated_at"]
    ada.request("PATCH", path, json={"project_id": None})
    assert left(services, document_id) == [(projects[0], 2), (projects[1], 3)]
    answer = ada.request("PATCH", path, json={"content": "an edit"})
    assert answer.json == ada.get(path).json == {"id": document_id, "title": "B", "content": "an edit"}
    assert left(services, document_id) == [(projects[0], 2), (projects[1], 3)]


def test_a_batch_records_each_move(ada: Caller, services: Services, projects: list[int]) -> None:
    one, two = (ada.new_document("A", project_id=projects[0])["id"] for _ in range(2))
    operations = [
        {"op": "patch", "id": one, "value": {"project_id": projects[1]}},
        {"op": "replace", "id": one, "value": {"title": "B"}},
        {"op": "patch", "id": two, "value": {"project_id": projects[2]}},
        {"op": "delete", "id": two},
    ]
    outcomes = ada.post("/documents/batch", {"operations": operations}).json["outcomes"]
    assert [outcome["status"] for outcome in outcomes] == [200, 200, 200, 204]
    assert left(services, one) == [(projects[0], 2), (projects[1], 3)]
    assert left(services, two) == [(projects[0], 2)]


def test_a_tombstone_keeps_the_departures(ada: Caller, services: Services, projects: list[int]) -> None:
    document_id = ada.new_document("A", project_id=projects[0])["id"]
    ada.request("PATCH", f"/documents/{document_id}", json={"project_id": projects[1]})
    ada.request("DELETE", f"/documents/{document_id}")
    tombstone = stored(services, document_id)
    assert tombstone["_deleted"]
    assert tombstone["project_id"] == projects[1]
    assert left(services, document_id) == [(projects[0], 2)]


def test_a_copy_has_left_no_project(ada: Caller, services: Services, projects: list[int]) -> None:
    document_id = ada.new_document("A", project_id=projects[0])["id"]
    ada.request("PATCH", f"/documents/{document_id}", json={"project_id": projects[1]})
    copy = ada.request("COPY", f"/documents/{document_id}").json
    assert left(services, copy["id"]) == []


def test_a_move_that_is_undone_leaves_the_project_that_was_deleted(
    ada: Caller, services: Services, mark: Mark, monkeypatch: pytest.MonkeyPatch, projects: list[int]
) -> None:
    """Its followers may have seen the document there."""
    home, away = projects[:2]
    document_id = ada.new_document("A", project_id=home)["id"]
    update = Items.update

    def meanwhile(self: Items, *args: Any, **kwargs: Any) -> Any:
        monkeypatch.undo()
        change = update(self, *args, **kwargs)
        mark(away, True)
        return change

    monkeypatch.setattr(Items, "update", meanwhile)
    assert ada.request("PATCH", f"/documents/{document_id}", json={"project_id": away}).status_code == 409
    assert ada.get(f"/documents/{document_id}").json["project_id"] == home
    assert left(services, document_id) == [(home, 2), (away, 3)]

"""Every write through the API stores its principal in the hidden member `updated_by`, which no client sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app import Application
from app.domain.access import SCOPES
from app.domain.items import Items
from app.domain.resources import DOCUMENT, PROJECT, ResourceType
from app.services import Services
from tests.api.conftest import Caller, Mark

# Returns the principal that is stored with an item or with its tombstone.
Stored = Callable[..., str]


@pytest.fixture(scope="module")
def bob(app: Application, services: Services) -> Caller:
    """A client with a principal of its own."""
    return Caller(app, services.keys.create("bob", SCOPES)[1])


@pytest.fixture(scope="module")
def principals(services: Services) -> dict[str, str]:
    """The principals by the names of their keys."""
    return {key.name: key.principal for key in services.keys.all()}


@pytest.fixture
def stored(services: Services, principals: dict[str, str]) -> Stored:
    """Return the name of the principal of the stored item."""
    names = {principal: name for name, principal in principals.items()}

    def read(public_id: int, resource_type: ResourceType = DOCUMENT) -> str:
        doc_id = resource_type.doc_id(public_id)
        return names[services.store[resource_type.database].winners([doc_id])[doc_id].document["updated_by"]]

    return read


def test_each_write_stores_its_own_principal(ada: Caller, bob: Caller, stored: Stored) -> None:
    document = ada.new_document("A")
    path, public_id = f"/documents/{document['id']}", document["id"]
    assert stored(public_id) == "test"
    for method, value in (("PUT", {"title": "B"}), ("PATCH", {"title": "C"})):
        answer = bob.request(method, path, json=value)
        assert (answer.status_code, answer.json) == (200, {"id": public_id, **value})
        assert stored(public_id) == "bob"
        ada.request("PATCH", path, json={"title": "A"})
        assert stored(public_id) == "test"
    copy = bob.request("COPY", path)
    assert copy.json == {"id": copy.json["id"], "title": "A"}
    assert stored(copy.json["id"]) == "bob"
    bob.request("DELETE", path)
    assert stored(public_id) == "bob"


def test_each_operation_of_a_batch_stores_its_principal(ada: Caller, bob: Caller, stored: Stored) -> None:
    ids = [ada.new_document("A")["id"] for _ in range(4)]
    operations: list[dict[str, Any]] = [
        {"op": "create", "value": {"title": "new"}},
        {"op": "replace", "id": ids[0], "value": {"title": "B"}},
        {"op": "patch", "id": ids[1], "value": {"title": "B"}},
        {"op": "merge", "id": ids[2], "base": {"title": "A"}, "value": {"title": "B"}},
        {"op": "delete", "id": ids[3]},
    ]
    outcomes = bob.post("/documents/batch", {"operations": operations}).json["outcomes"]
    assert [outcome["status"] for outcome in outcomes] == [201, 200, 200, 200, 204]
    assert {stored(outcome["id"]) for outcome in outcomes} == {"bob"}


def test_a_write_that_is_undone_leaves_the_former_principal(
    ada: Caller, bob: Caller, mark: Mark, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id, document = ada.new_project()["id"], ada.new_document("A")
    update = Items.update

    def meanwhile(self: Items, *args: Any) -> Any:
        change = update(self, *args)
        monkeypatch.undo()
        mark(project_id, True)
        return change

    monkeypatch.setattr(Items, "update", meanwhile)
    refused = bob.request("PATCH", f"/documents/{document['id']}", json={"project_id": project_id, "title": "B"})
    assert refused.status_code == 409
    assert ada.get(f"/documents/{document['id']}").json == document
    assert stored(document["id"]) == "test"


def test_a_project_whose_deletion_fails_keeps_its_principal(
    ada: Caller, bob: Caller, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id = ada.new_project()["id"]
    update = Items.update

    def meanwhile(self: Items, *args: Any) -> Any:
        ada.new_document(project_id=project_id)
        monkeypatch.undo()
        return update(self, *args)

    monkeypatch.setattr(Items, "update", meanwhile)
    assert bob.request("DELETE", f"/projects/{project_id}").status_code == 409
    assert stored(project_id, PROJECT) == "test"
    empty = ada.new_project()["id"]
    bob.request("DELETE", f"/projects/{empty}")
    assert stored(empty, PROJECT) == "bob"

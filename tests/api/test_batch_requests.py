"""The number of requests of a batch to the database, and its outcomes when they fail."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from app import Application
from app.couch.connection import Connection
from app.domain.access import SCOPES, Access
from app.domain.batches import working_set
from app.domain.batches.operations import Operation
from app.domain.items import Items
from app.domain.projects import Projects
from app.domain.resources import DOCUMENT, PROJECT
from app.errors import Conflict, Unavailable
from app.services import Services
from app.store.items import WriteId
from tests.api.conftest import Caller
from tests.api.test_batches import create, outcomes, send, statuses

Request = tuple[str, str, str]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """The requests to the database from now on: method, database, and the end of the path."""
    sent, request = list[Request](), Connection.request

    def noted(self: Connection, method: str, *path: str, **options: Any) -> Any:
        sent.append((method, path[0].rpartition("-")[2], path[-1]))
        return request(self, method, *path, **options)

    monkeypatch.setattr(Connection, "request", noted)
    return sent


def of(asked: list[Request], kind: str) -> list[tuple[str, str]]:
    """Return the requests to one database, except those of the change feed."""
    return [(method, end) for method, named, end in asked if named == kind and end != "_changes"]


def test_the_projects_of_all_documents_are_read_in_one_request(ada: Caller, asked: list[Request]) -> None:
    projects = [ada.new_project()["id"] for _ in range(40)]
    asked.clear()
    answer = send(ada, [create("x", project_id=each) for each in (*projects, *projects, 987654321)])
    assert statuses(answer) == [201] * 80 + [400]
    # Before the write and after it.
    assert of(asked, "projects") == [("POST", "_all_docs")] * 2


def test_a_project_with_a_deletion_mark_is_read_once(ada: Caller, mark: Any, asked: list[Request]) -> None:
    project = ada.new_project()["id"]
    mark(project, True)
    asked.clear()
    answer = send(ada, [create("x", project_id=project)] * 50)
    assert {(each["status"], each["error"]) for each in outcomes(answer)} == {(409, "conflict")}
    assert of(asked, "projects") == [("POST", "_all_docs")]


def test_an_item_with_several_operations_is_read_once(ada: Caller, asked: list[Request]) -> None:
    one = ada.new_document()["id"]
    operations = [{"op": "patch", "id": one, "value": {"title": str(number)}} for number in range(9)]
    asked.clear()
    answer = send(ada, [*operations, {"op": "delete", "id": one}, {"op": "delete", "id": one}])
    assert statuses(answer) == [200] * 9 + [204, 404]
    assert of(asked, "documents") == [("POST", "_all_docs"), *[("POST", "_bulk_docs")] * 10]
    assert len({each["etag"] for each in outcomes(answer)[:9]}) == 9


def test_another_write_between_two_operations_on_one_item_is_not_lost(
    ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch does not read its own write again, and still loses no other change."""
    one, record = ada.new_document(content="0")["id"], working_set.WorkingSet.record

    def meanwhile(self: working_set.WorkingSet, *args: Any) -> None:
        monkeypatch.undo()
        record(self, *args)
        assert ada.request("PATCH", f"/documents/{one}", json={"content": "theirs"}).status_code == 200

    monkeypatch.setattr(working_set.WorkingSet, "record", meanwhile)
    operations = [{"op": "patch", "id": one, "value": {"title": title}} for title in ("first", "second")]
    assert statuses(send(ada, operations)) == [200, 200]
    assert ada.get(f"/documents/{one}").json == {"id": one, "title": "second", "content": "theirs"}


def test_large_items_are_read_and_written_in_parts(
    ada: Caller, monkeypatch: pytest.MonkeyPatch, asked: list[Request]
) -> None:
    monkeypatch.setattr(working_set, "FIRST_READ_ITEMS", 2)
    monkeypatch.setattr(working_set, "READ_CHARACTERS", 10)
    monkeypatch.setattr(working_set, "MAX_CHARACTERS", 30)
    ids = [ada.new_document(content="x" * 10)["id"] for _ in range(5)]
    asked.clear()
    operations = [{"op": "patch", "id": each, "value": {"title": "new"}} for each in ids]
    answer = send(ada, [operations[0], create("made"), *operations[1:], {"op": "delete", "id": ids[0]}])
    assert statuses(answer) == [200, 201, 200, 200, 200, 200, 204]
    assert [end for _, end in of(asked, "documents")].count("_bulk_docs") > 2
    assert [ada.get(f"/documents/{each}").json["title"] for each in ids[1:]] == ["new"] * 4


def test_items_outside_the_limits_of_a_key_are_not_read(
    ada: Caller, app: Application, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, foreign = ada.new_project()["id"], ada.new_project()["id"]
    inside, outside = (ada.new_document(project_id=project)["id"] for project in (own, foreign))
    key = Caller(app, services.keys.create("few", SCOPES, projects=[own], out_of_scope="hide")[1])
    find_many, read = Items.find_many, list[int]()

    def noted(self: Items, public_ids: list[int]) -> Any:
        read.extend(public_ids if self.resource_type is DOCUMENT else [])
        return find_many(self, public_ids)

    monkeypatch.setattr(Items, "find_many", noted)
    answer = send(key, [{"op": "patch", "id": each, "value": {"title": "x"}} for each in (outside, inside, 987654321)])
    assert statuses(answer) == [404, 200, 404]
    assert read == [inside]


def test_a_create_whose_id_is_taken_leaves_the_existing_item_alone(
    ada: Caller, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """An earlier operation of the same batch may have named that id."""
    taken, access = ada.new_document(content="old")["id"], Access(0, "somebody", frozenset(SCOPES))
    operations = [Operation("patch", taken, value={"title": "patched"}), Operation("create", value={"title": "new"})]
    first, second = services.documents.batch(access, operations, WriteId((taken,)), 2**20)
    assert first.error is None
    assert isinstance(second.error, Conflict)
    assert ada.get(f"/documents/{taken}").json == {"id": taken, "title": "patched", "content": "old"}
    assert "id already taken" in caplog.text


def test_a_failed_second_look_is_503_because_the_document_may_be_stored(
    ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, takes, looks = ada.new_project()["id"], Projects.accepts_documents, list[int]()

    def look(self: Projects, project_id: int) -> bool:
        looks.append(project_id)
        return takes(self, project_id) if len(looks) == 1 else unavailable()

    monkeypatch.setattr(Projects, "accepts_documents", look)
    error = ada.post("/documents", {"title": "x", "project_id": project}).json
    assert (error["error"], looks) == ("unavailable", [project] * 2)
    assert "outcome of the write is unknown" in error["reason"]
    monkeypatch.undo()
    assert [each["title"] for each in ada.get(f"/projects/{project}/documents").json] == ["x"]


def test_a_failed_second_look_of_a_batch_is_503(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    project, find_many, looks = ada.new_project()["id"], Items.find_many, list[int]()

    def look(self: Items, public_ids: list[int]) -> Any:
        looks.extend(public_ids if self.resource_type is PROJECT else [])
        return unavailable() if len(looks) > 1 else find_many(self, public_ids)

    monkeypatch.setattr(Items, "find_many", look)
    results = outcomes(send(ada, [create("x", project_id=project), create("y", project_id=project), create("z")]))
    assert [each["status"] for each in results] == [503, 503, 201]
    assert looks == [project] * 2
    assert all("outcome of the write is unknown" in each["reason"] for each in results[:2])
    monkeypatch.undo()
    assert [each["title"] for each in ada.get(f"/projects/{project}/documents").json] == ["x", "y"]


def unavailable() -> NoReturn:
    """Fail like a database that does not answer."""
    raise Unavailable

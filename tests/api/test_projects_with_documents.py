"""Deleting projects while documents are put into them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from app.domain.items import Items
from app.domain.projects import Projects
from app.domain.resources import PROJECT, now, stamp
from app.services import Services
from launcher.settings import MAX_DEADLINE_SECONDS
from tests.api.conftest import Caller
from tests.api.test_writes import make, send


def test_a_project_with_documents_is_not_deleted(ada: Caller) -> None:
    project = ada.new_project()
    path = f"/projects/{project['id']}"
    document = ada.new_document(project_id=project["id"])
    tag = ada.get(path).headers["ETag"]
    answer = send(ada, "DELETE", path)
    assert (answer.status_code, answer.json["error"]) == (409, "project_not_empty")
    assert ada.get(path).headers["ETag"] == tag
    assert send(ada, "PATCH", f"/documents/{document['id']}", {"project_id": None}).json == {
        "id": document["id"],
        "title": document["title"],
    }
    assert send(ada, "DELETE", path, if_match='"1-0123456789abcdef0123456789abcdef"').status_code == 412
    assert send(ada, "DELETE", path, if_match=tag).status_code == 204
    assert ada.post("/documents", {"title": "x", "project_id": project["id"]}).status_code == 400


@pytest.mark.parametrize("write", ["POST", "PUT"])
def test_a_document_that_comes_while_its_project_goes(ada: Caller, monkeypatch: pytest.MonkeyPatch, write: str) -> None:
    """The project is deleted after it was looked at and before the document is written: the write leaves no trace."""
    project_id = ada.new_project()["id"]
    path, before, _ = make(ada, "documents")
    count = len(ada.get("/documents?limit=1000").json)
    takes = Projects.accepts_documents

    def look(self: Projects, project_id: int) -> bool:
        accepted = takes(self, project_id)
        monkeypatch.undo()
        assert send(ada, "DELETE", f"/projects/{project_id}").status_code == 204
        return accepted

    monkeypatch.setattr(Projects, "accepts_documents", look)
    value = {"title": "Late", "project_id": project_id}
    answer = send(ada, write, "/documents" if write == "POST" else path, value)
    assert (answer.status_code, answer.json["error"]) == (400, "validation_failed")
    assert ada.get(path).json == before
    assert len(ada.get("/documents?limit=1000").json) == count


def test_a_document_goes_back_to_no_project_that_is_gone(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is moved to a project that is deleted before it comes, and the one that it left is deleted after it went."""
    old, new = ada.new_project()["id"], ada.new_project()["id"]
    path = f"/documents/{ada.new_document('Kept', project_id=old)['id']}"
    takes, looks = Projects.accepts_documents, [new, old]

    def look(self: Projects, project_id: int) -> bool:
        # The first look comes before the document is written, the second after.
        gone = looks.pop(0) if looks else None
        accepted = gone == new and takes(self, project_id)
        if gone is not None:
            assert send(ada, "DELETE", f"/projects/{gone}").status_code == 204
        return accepted or takes(self, project_id)

    monkeypatch.setattr(Projects, "accepts_documents", look)
    assert send(ada, "PATCH", path, {"project_id": new}).status_code == 400
    assert ada.get(path).json == {"id": int(path.rpartition("/")[2]), "title": "Kept"}


def test_a_document_that_came_first_keeps_its_project(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written after the project was seen to be empty and before it is marked: the project stays."""
    project_id = ada.new_project()["id"]
    mark = Projects._mark

    def late(self: Projects, *args: Any) -> Any:
        monkeypatch.undo()
        ada.new_document("First", project_id=project_id)
        return mark(self, *args)

    monkeypatch.setattr(Projects, "_mark", late)
    assert send(ada, "DELETE", f"/projects/{project_id}").json["error"] == "project_not_empty"
    assert len(ada.get(f"/projects/{project_id}/documents").json) == 1
    ada.new_document("Second", project_id=project_id)


def test_a_project_that_is_being_deleted_takes_no_documents(ada: Caller, services: Services) -> None:
    project_id = ada.new_project()["id"]
    projects = services.store["projects"]

    def mark(moment: str) -> None:
        stored = projects.get(PROJECT.doc_id(project_id))
        assert stored is not None
        projects.replace({**stored, "deleting_at": moment})

    mark("2999-01-01T00:00:00.000000Z")
    answer = ada.post("/documents", {"title": "x", "project_id": project_id})
    assert (answer.status_code, answer.json["error"]) == (409, "conflict")
    assert ada.get(f"/projects/{project_id}").json == {"id": project_id, "name": "Unnamed"}
    # A deletion that was begun long ago was given up.
    mark("2020-01-01T00:00:00.000000Z")
    ada.new_document("x", project_id=project_id)
    stored = projects.get(PROJECT.doc_id(project_id))
    assert stored is not None
    assert "deleting_at" not in stored


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_deletion_mark_is_valid_for_the_longest_deadline(ada: Caller, services: Services, method: str) -> None:
    """The deletion may still be running."""
    project_id, document = ada.new_project()["id"], ada.new_document("Kept")
    projects = services.store["projects"]
    stored = projects.get(PROJECT.doc_id(project_id))
    assert stored is not None
    moment = stamp(now() - timedelta(seconds=MAX_DEADLINE_SECONDS))
    marked = {**stored, "deleting_at": moment}
    projects.replace(marked)
    path = "/documents" if method == "POST" else f"/documents/{document['id']}"
    assert send(ada, method, path, {"title": "x", "project_id": project_id}).status_code == 409
    assert ada.get(f"/projects/{project_id}/documents").json == []
    remaining = projects.get(PROJECT.doc_id(project_id))
    assert remaining is not None
    assert remaining["deleting_at"] == moment


@pytest.mark.parametrize("others", ["POST", "DELETE"])
def test_others_take_the_mark_of_a_deletion_away_that_was_given_up(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch, others: str
) -> None:
    project_id = ada.new_project()["id"]
    projects = services.store["projects"]
    stored = projects.get(PROJECT.doc_id(project_id))
    assert stored is not None
    projects.replace({**stored, "deleting_at": "2020-01-01T00:00:00.000000Z"})
    change = Items.update

    def overtaken(self: Items, *args: Any) -> Any:
        monkeypatch.undo()
        if others == "POST":
            ada.new_document("First", project_id=project_id)
        else:
            assert send(ada, "DELETE", f"/projects/{project_id}").status_code == 204
        return change(self, *args)

    monkeypatch.setattr(Items, "update", overtaken)
    answer = ada.post("/documents", {"title": "Second", "project_id": project_id})
    assert answer.status_code == (201 if others == "POST" else 400)


def test_documents_are_made_while_their_project_is_deleted(ada: Caller) -> None:
    """With either winner, an acknowledged document is in an existing project."""
    for _ in range(8):
        project_id = ada.new_project()["id"]
        with ThreadPoolExecutor(4) as pool:
            makers = [pool.submit(ada.post, "/documents", {"title": "x", "project_id": project_id}) for _ in range(3)]
            deleted = pool.submit(send, ada, "DELETE", f"/projects/{project_id}").result()
            made = [maker.result().status_code for maker in makers]
        there = ada.get(f"/projects/{project_id}").status_code
        held = ada.get(f"/documents?project_id={project_id}").json
        assert (deleted.status_code, there) in ((204, 404), (409, 200))
        assert len(held) == made.count(201)
        assert there == 200 or not held
        assert set(made) <= {201, 400, 409}


@pytest.mark.parametrize("write", ["POST", "PUT"])
def test_a_move_by_others_outlives_the_undoing_of_a_write(
    ada: Caller, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    """A document is written into a project, others move it on, and the project goes before it is looked at again."""
    project_id, other = ada.new_project()["id"], ada.new_project()["id"]
    path, _, _ = make(ada, "documents")
    name = "create" if write == "POST" else "update"
    real = getattr(Items, name)

    def overtaken(self: Items, *args: Any) -> Any:
        made = real(self, *args)
        monkeypatch.undo()
        moved = f"/documents/{(made if write == 'POST' else made[1]).public_id}"
        assert send(ada, "PATCH", moved, {"project_id": other}).status_code == 200
        assert send(ada, "DELETE", f"/projects/{project_id}").status_code == 204
        return made

    monkeypatch.setattr(Items, name, overtaken)
    answer = send(ada, write, "/documents" if write == "POST" else path, {"title": "x", "project_id": project_id})
    assert answer.status_code in (200, 201)
    assert ada.get(f"/documents/{answer.json['id']}").json["project_id"] == other

"""Documents and projects: created, read, listed by id, and each other's rules."""

from __future__ import annotations

from itertools import count

import pytest

from app.domain.resources import DOCUMENT
from app.services import Services
from app.store.claimed_ids import Allocator
from tests.api.conftest import Caller


def test_a_placeholder_has_a_title_and_nothing_else(ada: Caller) -> None:
    created = ada.new_document("Placeholder")
    assert set(created) == {"id", "title"}
    assert ada.get(f"/documents/{created['id']}").json == created


def test_text_survives_unchanged(ada: Caller) -> None:
    content = 'Umlaute äöü, 日本語, 🎭, quotes " and \\ and </script>\r\n\t\x7f\u2028'
    created = ada.new_document("🎭" * 300, content=content)
    assert ada.get(f"/documents/{created['id']}").json == {
        "id": created["id"],
        "title": "🎭" * 300,
        "content": content,
    }


def test_an_empty_content_is_not_an_absent_one(ada: Caller) -> None:
    assert ada.new_document("Empty", content="")["content"] == ""


def test_a_document_may_be_in_a_project(ada: Caller) -> None:
    project = ada.new_project("Home")
    inside = ada.new_document("Inside", project_id=project["id"])
    assert list(inside) == ["id", "title", "project_id"]
    ada.new_document("Outside")
    assert ada.get(f"/projects/{project['id']}/documents").json == [inside]
    assert ada.get(f"/documents?project_id={project['id']}").json == [inside]


def test_a_project_that_does_not_exist_holds_nothing(ada: Caller) -> None:
    answer = ada.post("/documents", {"title": "Lost", "project_id": 987654321})
    assert answer.status_code == 400
    assert [fault["location"] for fault in answer.json["errors"]] == ["body.project_id"]
    assert ada.get("/projects/987654321/documents").status_code == 404
    assert ada.get("/documents?project_id=987654321").json == []


def test_a_deleted_id_is_not_assigned_again(ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = services.store["documents"]
    public_id = ada.new_document("Deleted")["id"]
    stored = documents.get(DOCUMENT.doc_id(public_id))
    assert stored is not None
    documents.replace({"_id": stored["_id"], "_rev": stored["_rev"], "_deleted": True})
    dealt = count(public_id)
    monkeypatch.setattr(Allocator, "next_id", lambda _: next(dealt))
    assert ada.new_document("Next")["id"] == public_id + 1
    assert ada.get(f"/documents/{public_id}").status_code == 404


@pytest.mark.parametrize("path", ["/documents/999999999", "/projects/999999999", "/documents/9999999999999999"])
def test_a_missing_item_is_404(ada: Caller, path: str) -> None:
    answer = ada.get(path)
    assert (answer.status_code, answer.json["error"]) == (404, "not_found")


@pytest.mark.parametrize(
    "public_id",
    [
        "0",
        "01",
        "-1",
        "+1",
        "1.0",
        "1e3",
        "%20",
        "abc",
        "１２",
        "1_0",
        "12345678901234567",
        "1/",
        "1%2F",
        "1%00",
    ],
)
def test_only_a_plain_number_is_an_id(ada: Caller, public_id: str) -> None:
    assert ada.get(f"/documents/{public_id}").status_code == 404


def test_ids_select_items(ada: Caller) -> None:
    first, second, third = (ada.new_document(str(n)) for n in range(3))
    ids = f"{third['id']},{first['id']},{first['id']},888888888"
    assert ada.get(f"/documents?ids={ids}").json == [first, third]
    assert ada.get(f"/documents?ids={ids}&order=desc").json == [third, first]
    pages = ada.walk(f"/documents?ids={first['id']},{second['id']},{third['id']}&limit=1")
    assert pages == [[first], [second], [third]]


def test_ids_and_project_id_combine(ada: Caller) -> None:
    project = ada.new_project()
    inside, outside = ada.new_document("in", project_id=project["id"]), ada.new_document("out")
    ids = f"ids={inside['id']},{outside['id']}"
    assert ada.get(f"/documents?{ids}&project_id={project['id']}").json == [inside]
    assert ada.get(f"/projects/{project['id']}/documents?{ids}").json == [inside]


@pytest.mark.parametrize("path", ["/documents", "/documents/1", "/projects", "/projects/1", "/projects/1/documents"])
def test_head_is_get_without_a_body(ada: Caller, path: str) -> None:
    ada.new_document()
    ada.new_project()
    get, head = ada.get(path), ada.request("HEAD", path)
    assert head.status_code == get.status_code == 200
    assert head.data == b""
    ignored = {"X-Request-ID", "Date"}
    assert {k: v for k, v in head.headers if k not in ignored} == {k: v for k, v in get.headers if k not in ignored}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/documents", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("/documents/1", {"COPY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT"}),
        ("/projects", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("/projects/1/documents", {"GET", "HEAD", "OPTIONS"}),
        ("/", {"GET", "HEAD", "OPTIONS"}),
        ("/livez", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_options_and_405_list_the_allowed_methods(nobody: Caller, path: str, allowed: set[str]) -> None:
    options, refused = nobody.request("OPTIONS", path), nobody.request("TRACE", path)
    assert options.status_code == 204
    assert options.data == b""
    assert refused.status_code == 405
    assert refused.json["error"] == "method_not_allowed"
    for answer in (options, refused):
        assert set(answer.headers["Allow"].split(", ")) == allowed
    assert refused.json["reason"] == f"This path allows {', '.join(sorted(allowed))}."


@pytest.mark.parametrize("path", ["/documents/1", "/projects/1", "/documents", "/livez"])
def test_the_types_of_patches_are_listed_where_patch_is_allowed(nobody: Caller, ada: Caller, path: str) -> None:
    answers = [nobody.request("OPTIONS", path)]
    if path not in ("/livez", "/documents"):
        answers += [ada.request(method, path, data=b"{}", content_type="text/plain") for method in ("PUT", "PATCH")]
    for answer in answers:
        expected = "application/json, application/merge-patch+json" if "1" in path else None
        assert (answer.status_code, answer.headers.get("Accept-Patch")) == (answer.status_code, expected)
    assert [answer.status_code for answer in answers] == [204, 415, 415][: len(answers)]
    assert "Accept-Patch" not in ada.request("POST", "/documents", data=b"{}", content_type="text/plain").headers


def test_an_override_of_the_method_is_ignored(ada: Caller) -> None:
    answer = ada.request("GET", "/documents", headers={"X-HTTP-Method-Override": "POST"})
    assert answer.status_code == 200

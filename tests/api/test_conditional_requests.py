"""ETags on items and pages, and 304 for unchanged ones."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Answer, Caller

SENT_WITH_BOTH = ("ETag", "Cache-Control", "Vary", "x-next", "Link")


@pytest.fixture
def project(ada: Caller) -> dict[str, Any]:
    """A project with three documents."""
    project = ada.new_project("Three")
    for n in range(3):
        ada.new_document(str(n), project_id=project["id"])
    return project


def paths(project: dict[str, Any]) -> list[str]:
    """Return the paths of the pages and items around ``project``."""
    listing = f"/projects/{project['id']}/documents"
    return ["/documents/1", f"/projects/{project['id']}", listing, f"{listing}?limit=2", f"{listing}?ids=999"]


def assert_not_modified(answer: Answer, original: Answer) -> None:
    """Check a 304 against the corresponding 200."""
    assert (answer.status_code, answer.data) == (304, b"")
    assert {name: answer.headers.get(name) for name in SENT_WITH_BOTH} == {
        name: original.headers.get(name) for name in SENT_WITH_BOTH
    }


def test_every_item_and_page_has_a_tag_and_a_304(ada: Caller, project: dict[str, Any]) -> None:
    for path in paths(project):
        original = ada.get(path)
        tag = original.headers["ETag"]
        assert original.headers["Cache-Control"] == "private, no-cache"
        assert original.headers["Vary"] == "X-API-Key, Authorization"
        for offered in (tag, f"W/{tag}", f'{tag[:-1]}-gzip"', f'"other", {tag}', "*"):
            assert_not_modified(ada.get(path, if_none_match=offered), original)
        for offered in ('"other"', tag.strip('"'), ""):
            assert ada.get(path, if_none_match=offered).json == original.json


def test_an_items_tag_is_its_revision(ada: Caller) -> None:
    created = ada.post("/documents", {"title": "Tagged"})
    assert created.headers["ETag"].startswith('"1-')
    assert ada.get(f"/documents/{created.json['id']}").headers["ETag"] == created.headers["ETag"]


def test_a_page_tag_changes_with_the_next_page(ada: Caller, project: dict[str, Any]) -> None:
    """A client that has the last page must learn that it is no longer the last."""
    listing = f"/projects/{project['id']}/documents?limit=3"
    before = ada.get(listing)
    assert "x-next" not in before.headers
    ada.new_document("fourth", project_id=project["id"])
    after = ada.get(listing, if_none_match=before.headers["ETag"])
    assert after.status_code == 200
    assert after.json == before.json
    assert "x-next" in after.headers


def test_a_page_tag_is_stable_while_other_pages_change(ada: Caller, project: dict[str, Any]) -> None:
    first = ada.get(f"/projects/{project['id']}/documents?limit=2")
    ada.new_document("elsewhere", project_id=project["id"])
    ada.new_document("nowhere")
    again = ada.get(f"/projects/{project['id']}/documents?limit=2", if_none_match=first.headers["ETag"])
    assert again.status_code == 304


def test_the_key_is_checked_before_a_304(nobody: Caller, project: dict[str, Any]) -> None:
    for path in paths(project):
        assert nobody.get(path, if_none_match="*").status_code == 401


def test_a_missing_item_has_no_304(ada: Caller) -> None:
    assert ada.get("/documents/999999999", if_none_match="*").status_code == 404


@pytest.mark.parametrize(
    ("path", "value", "ok"),
    [
        ("/documents", {"title": "New"}, 201),
        ("/projects", {"name": "New"}, 201),
        ("/documents/batch", {"operations": [{"op": "create", "value": {"title": "New"}}]}, 200),
        ("/documents/reservations", {"count": 1}, 201),
    ],
)
def test_a_condition_on_a_collection_is_never_met(ada: Caller, path: str, value: Any, ok: int) -> None:
    before = ada.get("/documents").json
    for headers in (
        {"If-Match": '"1-a"'},
        {"If-Match": "1-a"},
        {"If-Unmodified-Since": "Fri, 31 Dec 2099 23:59:59 GMT"},
    ):
        answer = ada.request("POST", path, json=value, headers=headers)
        assert (answer.status_code, answer.json["error"]) == (412, "precondition_failed"), headers
        assert "if_match" in answer.json["reason"]
    assert ada.get("/documents").json == before
    for headers in ({"If-Match": "*"}, {"If-None-Match": "*"}, {}):
        assert ada.request("POST", path, json=value, headers=headers).status_code == ok

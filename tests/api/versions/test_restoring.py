"""The versions of items: restore them, and forget those of a deleted item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Caller
from tests.api.versions.edits import MISSING_TAG, edited, put, restore


def test_an_item_that_never_was_has_no_versions(ada: Caller) -> None:
    assert ada.get("/documents/999999/versions").status_code == 404
    assert restore(ada, "/documents/999999", MISSING_TAG).status_code == 404
    assert ada.request("DELETE", "/documents/999999/versions").status_code == 404


def test_a_restored_version_is_a_new_one(ada: Caller, capture: Callable[[], None]) -> None:
    document_id, tags = edited(ada, "One", "Two")
    capture()
    answer = restore(ada, f"/documents/{document_id}", tags[0])
    assert (answer.status_code, answer.json) == (200, {"id": document_id, "title": "One"})
    assert answer.headers["ETag"] not in tags
    assert [each["value"]["title"] for each in ada.get(f"/documents/{document_id}/versions").json] == [
        "One",
        "Two",
        "One",
    ]


@pytest.mark.parametrize("form", ["{}", '"{}"', 'W/"{}"', '"{}-gzip"'])
def test_the_tag_of_a_version_is_understood_in_each_form(ada: Caller, form: str) -> None:
    document_id, tags = edited(ada, "One", "Two")
    answer = restore(ada, f"/documents/{document_id}", form.format(tags[0].strip('"')))
    assert (answer.status_code, answer.json["title"]) == (200, "One")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"version": 1},
        {"version": "newest"},
        {"version": "," * 201},
        {"version": MISSING_TAG, "x": 1},
        {"version": f'"{MISSING_TAG}", "{MISSING_TAG.replace("0", "1")}"'},
    ],
)
def test_a_body_that_does_not_name_one_version_is_400(ada: Caller, value: Any) -> None:
    document_id, _ = edited(ada, "One")
    assert ada.post(f"/documents/{document_id}/restore", value).status_code == 400


def test_a_deleted_item_lives_again_as_the_same_item(ada: Caller, capture: Callable[[], None]) -> None:
    document_id, tags = edited(ada, "One", "Two")
    ada.request("DELETE", f"/documents/{document_id}")
    capture()
    answer = restore(ada, f"/documents/{document_id}", tags[1])
    assert (answer.status_code, answer.json) == (200, {"id": document_id, "title": "Two"})
    assert ada.get(f"/documents/{document_id}").headers["ETag"] == answer.headers["ETag"]
    assert put(ada, document_id, title="Three")
    assert len(ada.get(f"/documents/{document_id}/versions").json) == 5


def test_a_deleted_item_can_be_restored_again_and_again(ada: Caller) -> None:
    document_id, tags = edited(ada, "One")
    for _ in range(3):
        assert ada.request("DELETE", f"/documents/{document_id}").status_code == 204
        assert restore(ada, f"/documents/{document_id}", tags[0]).status_code == 200
    assert ada.get(f"/documents/{document_id}").json["title"] == "One"


def test_a_condition_on_a_restoration_is_compared_with_the_current_version(ada: Caller) -> None:
    document_id, tags = edited(ada, "One", "Two")
    path = f"/documents/{document_id}"
    stale = restore(ada, path, tags[0], **{"If-Match": tags[0]})
    assert (stale.status_code, stale.headers["ETag"]) == (412, tags[1])
    assert restore(ada, path, tags[0], **{"If-Match": tags[1]}).status_code == 200


def test_a_condition_on_the_restoration_of_a_deleted_item_names_its_deletion(ada: Caller) -> None:
    document_id, tags = edited(ada, "One")
    path = f"/documents/{document_id}"
    ada.request("DELETE", path)
    deletion = ada.get(f"{path}/versions").json[0]["etag"]
    assert restore(ada, path, tags[0], **{"If-Match": tags[0]}).status_code == 412
    assert restore(ada, path, tags[0], **{"If-Match": deletion}).status_code == 200


def test_a_star_in_a_condition_matches_no_deleted_item(ada: Caller) -> None:
    """It matches any version that exists (RFC 9110, sections 13.1.1 and 13.1.2)."""
    document_id, tags = edited(ada, "One")
    path = f"/documents/{document_id}"
    assert restore(ada, path, tags[0], **{"If-None-Match": "*"}).status_code == 412
    assert restore(ada, path, tags[0], **{"If-Match": "*"}).status_code == 200
    ada.request("DELETE", path)
    deletion = ada.get(f"{path}/versions").json[0]["etag"]
    refused = restore(ada, path, tags[0], **{"If-Match": "*"})
    assert (refused.status_code, refused.headers["ETag"]) == (412, deletion)
    assert restore(ada, path, tags[0], **{"If-None-Match": "*"}).status_code == 200


def test_a_deletion_has_no_content_to_restore(ada: Caller) -> None:
    document_id, _ = edited(ada, "One")
    ada.request("DELETE", f"/documents/{document_id}")
    deletion = ada.get(f"/documents/{document_id}/versions").json[0]["etag"]
    assert restore(ada, f"/documents/{document_id}", deletion).json["error"] == "conflict"


def test_a_repeated_restoration_is_carried_out_once(ada: Caller) -> None:
    document_id, tags = edited(ada, "One", "Two")
    ada.request("DELETE", f"/documents/{document_id}")
    answers = [restore(ada, f"/documents/{document_id}", tags[0], **{"Idempotency-Key": "once"}) for _ in range(2)]
    assert answers[0].text == answers[1].text
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert ada.get(f"/documents/{document_id}").headers["ETag"] == answers[0].headers["ETag"]


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_version_in_a_project_that_is_gone_is_an_orphan(ada: Caller, is_deleted: bool) -> None:
    project_id = ada.new_project()["id"]
    document = ada.new_document("In the project", project_id=project_id)
    path = f"/documents/{document['id']}"
    tag = ada.get(path).headers["ETag"]
    ada.request("DELETE", path) if is_deleted else put(ada, document["id"], title="Outside")
    assert ada.request("DELETE", f"/projects/{project_id}").status_code == 204
    answer = restore(ada, path, tag)
    assert (answer.status_code, answer.json["error"]) == (409, "orphan")


def test_a_project_is_restored(ada: Caller, capture: Callable[[], None]) -> None:
    project_id = ada.new_project("Pilot")["id"]
    tag = ada.get(f"/projects/{project_id}").headers["ETag"]
    assert ada.request("DELETE", f"/projects/{project_id}").status_code == 204
    capture()
    assert restore(ada, f"/projects/{project_id}", tag).json == {"id": project_id, "name": "Pilot"}
    assert ada.new_document("In it", project_id=project_id)["project_id"] == project_id


def test_a_deleted_document_is_restored_by_a_key_limited_to_it(ada: Caller, limited: Callable[..., Caller]) -> None:
    project_id = ada.new_project()["id"]
    document = ada.new_document("One", project_id=project_id)
    path = f"/documents/{document['id']}"
    tag = ada.get(path).headers["ETag"]
    ada.request("DELETE", path)
    assert restore(limited(documents=[document["id"]]), path, tag).json == document
    ada.request("DELETE", path)
    assert restore(limited(projects=[project_id]), path, tag).json == document


def test_the_versions_of_an_item_that_exists_cannot_be_forgotten(ada: Caller) -> None:
    document_id, _ = edited(ada, "One")
    assert ada.request("DELETE", f"/documents/{document_id}/versions").json["error"] == "conflict"
    assert len(ada.get(f"/documents/{document_id}/versions").json) == 1


def test_a_forgotten_item_stays_forgotten(ada: Caller, capture: Callable[[], None]) -> None:
    document_id, tags = edited(ada, "One", "Two")
    path = f"/documents/{document_id}"
    ada.request("DELETE", path)
    capture()
    assert ada.request("DELETE", f"{path}/versions").status_code == 204
    capture()
    assert ada.get(f"{path}/versions").status_code == 404
    assert ada.get(f"{path}/versions/{tags[0].strip(chr(34))}").status_code == 404
    assert restore(ada, path, tags[0]).status_code == 404
    assert ada.request("DELETE", f"{path}/versions").status_code == 404


def test_a_restoration_does_not_decide_an_open_conflict(ada: Caller, clash: tuple[str, str, list[str]]) -> None:
    path, first, _ = clash
    assert restore(ada, path, first).json["error"] == "unresolved_conflict"
    winner = ada.get(path).headers["ETag"]
    assert restore(ada, path, first, **{"If-Match": winner}).json["title"] == "Base"

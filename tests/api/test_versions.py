"""The versions of items: list, read and restore them, and forget those of a deleted item."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from app.domain.access import SCOPES
from app.domain.conflicts import resolver
from app.domain.history import capture as capture_module
from app.domain.resources import DOCUMENT
from app.services import Services
from app.store.version import Version
from tests.api.conflicts import bring_versions
from tests.api.conftest import Answer, Caller

MISSING_TAG = f"7-{'0' * 32}"


@pytest.fixture(params=["captured", "not captured"])
def capture(request: pytest.FixtureRequest, services: Services, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Bring the history up to date, or leave that for later: the versions must be the same."""
    monkeypatch.setattr(capture_module, "MAX_RUN_SECONDS", math.inf)

    def catch_up() -> None:
        assert services.capture is not None
        services.capture.run(Event())

    return catch_up if request.param == "captured" else lambda: None


@pytest.fixture
def limited(app: Any, services: Services) -> Callable[..., Caller]:
    """Make callers with keys of all scopes that are limited."""

    def make(**limits: Any) -> Caller:
        return Caller(app, services.keys.create("limited", SCOPES, **limits)[1])

    return make


def put(caller: Caller, document_id: int, **members: Any) -> str:
    """Replace a document and return its new tag."""
    answer = caller.request("PUT", f"/documents/{document_id}", json=members)
    assert answer.status_code == 200, answer.text
    return answer.headers["ETag"]


def restore(caller: Caller, path: str, tag: str, **headers: str) -> Answer:
    return caller.request("POST", f"{path}/restore", json={"version": tag}, headers=headers)


def edited(caller: Caller, *titles: str) -> tuple[int, list[str]]:
    """Create a document and give it these titles in turn; return its id and the tags of its versions."""
    answer = caller.post("/documents", {"title": titles[0]})
    tags = [answer.headers["ETag"]]
    tags += [put(caller, answer.json["id"], title=title) for title in titles[1:]]
    return answer.json["id"], tags


def test_the_versions_of_an_item_are_listed_with_the_newest_first(ada: Caller, capture: Callable[[], None]) -> None:
    document_id, tags = edited(ada, "One", "Two", "Three")
    capture()
    versions = ada.get(f"/documents/{document_id}/versions").json
    assert [version["etag"] for version in versions] == tags[::-1]
    assert [version["value"] for version in versions] == [
        {"id": document_id, "title": title} for title in ("Three", "Two", "One")
    ]
    assert len({version["updated_by"] for version in versions}) == 1
    assert [version["updated_at"] for version in versions] == sorted(
        (version["updated_at"] for version in versions), reverse=True
    )


def test_a_deletion_is_a_version_without_a_value(ada: Caller, capture: Callable[[], None]) -> None:
    document_id, tags = edited(ada, "One")
    assert ada.request("DELETE", f"/documents/{document_id}").status_code == 204
    capture()
    deletion, first = ada.get(f"/documents/{document_id}/versions").json
    assert deletion["deleted"] is True
    assert "value" not in deletion
    assert (first["etag"], first["value"]["title"]) == (tags[0], "One")


def test_pages_of_versions_follow_each_other(ada: Caller, capture: Callable[[], None]) -> None:
    document_id, tags = edited(ada, *"abcde")
    capture()
    pages = ada.walk(f"/documents/{document_id}/versions?limit=2")
    assert [[version["etag"] for version in page] for page in pages] == [tags[:2:-1], tags[2:0:-1], tags[:1]]


def test_a_cursor_of_versions_belongs_to_its_item(ada: Caller) -> None:
    first, _ = edited(ada, "One", "Two")
    second, _ = edited(ada, "One", "Two")
    cursor = ada.get(f"/documents/{first}/versions?limit=1").headers["x-next"].rpartition("cursor=")[2]
    assert ada.get(f"/documents/{second}/versions?limit=1&cursor={cursor}").json["error"] == "invalid_cursor"
    assert ada.get(f"/documents?limit=1&cursor={cursor}").json["error"] == "invalid_cursor"


def test_an_unchanged_page_of_versions_is_304(ada: Caller) -> None:
    document_id, _ = edited(ada, "One")
    path = f"/documents/{document_id}/versions"
    tag = ada.get(path).headers["ETag"]
    assert ada.get(path, if_none_match=tag).status_code == 304
    put(ada, document_id, title="Two")
    assert ada.get(path, if_none_match=tag).status_code == 200


def test_a_version_is_read_by_its_tag(ada: Caller, capture: Callable[[], None]) -> None:
    document_id, tags = edited(ada, "One", "Two")
    capture()
    path = f"/documents/{document_id}/versions/{tags[0].strip(chr(34))}"
    answer = ada.get(path)
    assert (answer.headers["ETag"], answer.json["value"]["title"]) == (tags[0], "One")
    assert ada.get(path, if_none_match=tags[0]).status_code == 304


@pytest.mark.parametrize("suffix", ["-gzip", "--gzip", ";gzip", "-br"])
def test_a_version_is_read_by_a_tag_that_a_proxy_has_rewritten(ada: Caller, suffix: str) -> None:
    document_id, tags = edited(ada, "One")
    answer = ada.get(f"/documents/{document_id}/versions/{tags[0].strip(chr(34))}{suffix}")
    assert (answer.status_code, answer.headers["ETag"]) == (200, tags[0])


@pytest.mark.parametrize(
    "tag", [MISSING_TAG, MISSING_TAG + "x", "0-" + "0" * 32, "1-abc", "x", "%221-" + "0" * 32 + "%22"]
)
def test_an_unknown_version_is_404(ada: Caller, tag: str) -> None:
    document_id, _ = edited(ada, "One")
    assert ada.get(f"/documents/{document_id}/versions/{tag}").status_code == 404


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


@pytest.mark.parametrize("limit", [1, 50])
def test_the_deletion_of_a_project_is_one_version(ada: Caller, capture: Callable[[], None], limit: int) -> None:
    path = f"/projects/{ada.new_project('Pilot')['id']}"
    tags = [ada.get(path).headers["ETag"]]
    tags.append(ada.request("PUT", path, json={"name": "Pilot"}).headers["ETag"])
    assert ada.request("DELETE", path).status_code == 204
    capture()
    deletion, *versions = [version for page in ada.walk(f"{path}/versions?limit={limit}") for version in page]
    assert deletion["deleted"]
    assert [version["etag"] for version in versions] == tags[::-1]


def test_a_limited_key_sees_the_versions_that_were_in_its_project(
    ada: Caller, limited: Callable[..., Caller], capture: Callable[[], None]
) -> None:
    own, foreign = ada.new_project()["id"], ada.new_project()["id"]
    document_id = ada.new_document("Foreign", project_id=foreign)["id"]
    moved = put(ada, document_id, title="Own", project_id=own)
    put(ada, document_id, title="Foreign again", project_id=foreign)
    capture()
    key = limited(projects=[own])
    path = f"/documents/{document_id}"
    foreign_tag = ada.get(f"{path}/versions").json[0]["etag"]
    assert [version["value"]["title"] for version in key.get(f"{path}/versions").json] == ["Own"]
    assert "x-next" not in key.get(f"{path}/versions?limit=1").headers
    assert key.get(f"{path}/versions/{moved.strip(chr(34))}").status_code == 200
    assert key.get(f"{path}/versions/{foreign_tag.strip(chr(34))}").status_code == 403
    assert restore(key, path, moved).status_code == 403
    assert restore(key, path, foreign_tag).status_code == 403
    ada.request("DELETE", path)
    assert key.request("DELETE", f"{path}/versions").status_code == 403


def test_a_key_that_hides_gets_the_answers_for_a_missing_item(ada: Caller, limited: Callable[..., Caller]) -> None:
    key = limited(projects=[ada.new_project()["id"]], out_of_scope="hide")
    document_id, tags = edited(ada, "Foreign")
    for path in ("versions", f"versions/{tags[0].strip(chr(34))}"):
        foreign, missing = (key.get(f"/documents/{each}/{path}").json for each in (document_id, 999999))
        assert foreign["error"] == missing["error"] == "not_found"
        assert foreign["reason"].replace(str(document_id), "999999") == missing["reason"]


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


@pytest.fixture
def clash(ada: Caller, services: Services) -> tuple[str, str, list[str]]:
    """A document with an open conflict: its path, the tag of its first version, and the tags of the two leaves."""
    created = ada.post("/documents", {"title": "Base"})
    sides = [{"title": "Ours"}, {"title": "Theirs"}]
    tags = bring_versions(services, "documents", created.json["id"], *sides)
    return f"/documents/{created.json['id']}", created.headers["ETag"], tags


def test_a_restoration_does_not_decide_an_open_conflict(ada: Caller, clash: tuple[str, str, list[str]]) -> None:
    path, first, _ = clash
    assert restore(ada, path, first).json["error"] == "unresolved_conflict"
    winner = ada.get(path).headers["ETag"]
    assert restore(ada, path, first, **{"If-Match": winner}).json["title"] == "Base"


def test_the_tombstones_of_a_resolution_are_no_versions(
    ada: Caller, clash: tuple[str, str, list[str]], capture: Callable[[], None]
) -> None:
    path, first, tags = clash
    resolved = ada.post(f"{path}/resolve", {"value": {"title": "Both"}, "supersedes": tags})
    assert resolved.status_code == 200, resolved.text
    capture()
    versions = ada.get(f"{path}/versions").json
    assert {version["etag"] for version in versions} == {first, *tags, resolved.headers["ETag"]}
    assert all("value" in version for version in versions)


def test_the_versions_before_a_merge_are_listed_before_their_capture(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "MAX_RUN_SECONDS", math.inf)
    created = ada.post("/documents", {"title": "Base", "content": "one"})
    path = f"/documents/{created.json['id']}"
    tags = bring_versions(services, "documents", created.json["id"], {"title": "Theirs"}, {"content": "two"})
    services.resolver.run(Event())
    merge, *others = ada.get(f"{path}/versions").json
    assert merge["value"] == {"id": created.json["id"], "title": "Theirs", "content": "two"}
    assert [version["etag"] for version in others] == [*tags, created.headers["ETag"]]


def test_a_version_that_was_compacted_before_its_capture_is_lost(ada: Caller, services: Services) -> None:
    document_id, tags = edited(ada, "One", "Two")
    doc_id = DOCUMENT.doc_id(document_id)
    services.store.versions.write([Version(doc_id, tags[1].strip('"')), Version(doc_id, tags[0].strip('"'))])
    newest, first = ada.get(f"/documents/{document_id}/versions").json
    assert newest["value"]["title"] == "Two"
    assert first == {"etag": tags[0], "updated_at": None, "updated_by": None, "lost": True}
    assert restore(ada, f"/documents/{document_id}", tags[0]).json["error"] == "conflict"


def test_the_tag_of_a_page_changes_when_a_lost_version_arrives(ada: Caller, services: Services) -> None:
    document_id, tags = edited(ada, "One", "Two")
    path, doc_id, lost = f"/documents/{document_id}/versions", DOCUMENT.doc_id(document_id), tags[0].strip('"')
    services.store.versions.write([Version(doc_id, tags[1].strip('"')), Version(doc_id, lost)])
    before = ada.get(path)
    assert before.json[1]["lost"] is True
    services.store.versions.write([Version(doc_id, lost, {"title": "One"})])
    after = ada.get(path, if_none_match=before.headers["ETag"])
    assert (after.status_code, after.json[1]["value"]["title"]) == (200, "One")


def test_an_edit_in_fauxton_has_no_author(ada: Caller, services: Services, capture: Callable[[], None]) -> None:
    document_id, _ = edited(ada, "One")
    stored = services.store["documents"].get(DOCUMENT.doc_id(document_id))
    assert stored is not None
    services.store["documents"].replace({**stored, "title": "By hand"})
    capture()
    by_hand, first = ada.get(f"/documents/{document_id}/versions").json
    assert (by_hand["value"]["title"], by_hand["updated_by"]) == ("By hand", None)
    assert first["updated_by"] is not None

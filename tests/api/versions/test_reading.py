"""The versions of items: list and read them, in the limits of the key."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Event

import pytest

from app.domain.conflicts import resolver
from app.domain.resources import DOCUMENT
from app.services import Services
from app.store.version import Version
from tests.api.conflicts import bring_versions
from tests.api.conftest import Caller
from tests.api.versions.edits import MISSING_TAG, edited, put, restore


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

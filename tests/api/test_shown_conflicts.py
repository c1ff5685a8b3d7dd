"""How an item in conflict shows its versions, their merge and their authors."""

from __future__ import annotations

import pytest

from app.domain.conflicts.item_conflicts import ConflictState, ItemConflicts
from app.domain.resources import DOCUMENT
from app.services import Services
from app.store.items import StoredItem
from app.store.version import Version
from tests.api.clashes import NAMES, TEXTS, clash, every_kind, resolve
from tests.api.conflicts import UPDATED_AT, bring_versions
from tests.api.conftest import Caller
from tests.replication import replicate, revision


@every_kind
def test_an_item_without_a_conflict_has_one_version(ada: Caller, kind: str) -> None:
    created = ada.post(f"/{kind}", {NAMES[kind]: "Alone"})
    path = f"/{kind}/{created.json['id']}"
    answer = ada.get(f"{path}/conflicts")
    assert (answer.status_code, "x-conflict" in ada.get(path).headers) == (200, False)
    [version] = answer.json["versions"]
    assert set(version) == {"etag", "value", "updated_at", "updated_by"}
    assert (version["etag"], version["value"]) == (created.headers["ETag"], created.json)
    assert answer.json == {"reason": None, "pending": False, "base": None, "versions": [version], "merge": {}}


@every_kind
def test_a_clash_shows_the_versions_and_the_merge_as_far_as_there_is_one(
    ada: Caller, services: Services, kind: str
) -> None:
    name, text = NAMES[kind], TEXTS[kind]
    created = ada.post(f"/{kind}", {name: "Base", text: "one\ntwo\nthree\n"})
    public_id, base = created.json["id"], created.headers["ETag"]
    members = [{name: "Base", text: "one\nTWO\nthree\n"}, {name: "Theirs", text: "one\n2\nthree\n"}]
    tags = bring_versions(services, kind, public_id, *members)
    answer = ada.get(f"/{kind}/{public_id}/conflicts")
    rest = {"project_id": {"state": "clean"}} if kind == "documents" else {}
    assert answer.json == {
        "reason": "clash",
        "pending": False,
        "base": {"etag": base, "value": created.json},
        "versions": [
            {"etag": tag, "value": {"id": public_id, **each}, "updated_at": UPDATED_AT, "updated_by": "elsewhere"}
            for tag, each in zip(tags, members, strict=True)
        ],
        "merge": {
            name: {"state": "clean", "value": "Theirs"},
            text: {
                "state": "clash",
                "hunks": [
                    {"merged": "one\n"},
                    {"base": "two\n", "versions": {tags[0]: "TWO\n", tags[1]: "2\n"}},
                    {"merged": "three\n"},
                ],
            },
            **rest,
        },
    }
    again = ada.get(f"/{kind}/{public_id}/conflicts", if_none_match=answer.headers["ETag"])
    assert (again.status_code, again.text) == (304, "")


@every_kind
def test_an_open_conflict_shows_on_the_item(ada: Caller, services: Services, kind: str) -> None:
    public_id, tags = clash(ada, services, kind)
    path = f"/{kind}/{public_id}"
    answers = [
        ada.get(path),
        ada.get(path, cache_control="no-cache"),
        ada.request("HEAD", path),
        ada.get(path, if_none_match=tags[0]),
    ]
    assert [(each.status_code, each.headers.get("x-conflict")) for each in answers] == [
        (status, "true") for status in (200, 200, 200, 304)
    ]
    assert {each.headers["ETag"] for each in answers} == {tags[0]}
    assert resolve(ada, path, tags, keep=tags[1]).status_code == 200
    assert "x-conflict" not in ada.get(path).headers


@every_kind
def test_a_listing_and_a_pending_comparison_hide_no_conflict_from_later_reads(
    ada: Caller, services: Services, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    public_id, _ = clash(ada, services, kind)
    path = f"/{kind}/{public_id}"
    assert ada.get(f"/{kind}?ids={public_id}").json[0]["id"] == public_id
    with monkeypatch.context() as patched:
        patched.setattr(ItemConflicts, "state", lambda *_: ConflictState(is_open=False, is_final=False))
        assert "x-conflict" not in ada.get(path).headers
    assert ada.get(path).headers["x-conflict"] == "true"


@pytest.mark.parametrize("is_captured", [True, False], ids=["captured", "not captured"])
def test_a_version_that_was_edited_in_fauxton_has_no_author(ada: Caller, services: Services, is_captured: bool) -> None:
    document_id = ada.new_document("Base")["id"]
    stored = services.store["documents"].get(DOCUMENT.doc_id(document_id))
    assert stored is not None
    if is_captured:
        services.store.versions.write([Version.of_item(StoredItem.of(stored), DOCUMENT.members, None)])
    base = stored.pop("_rev")
    branches = [({**stored, "title": letter}, (revision(2, letter), base)) for letter in "ba"]
    branches[1][0]["nonce"] = "0" * 32
    replicate(services.settings.couchdb_url, services.store["documents"].name, *branches)
    versions = ada.get(f"/documents/{document_id}/conflicts").json["versions"]
    assert [version["updated_by"] for version in versions] == [None, stored["updated_by"]]

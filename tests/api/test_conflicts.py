"""The versions of an item in conflict: how they are shown, and how they are resolved."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.domain.conflicts.conflicts import Conflicts
from app.domain.conflicts.item_conflicts import ConflictState, ItemConflicts
from app.domain.resources import DOCUMENT
from app.errors import Unavailable
from app.services import Services
from app.store.items import StoredItem
from app.store.leaves import MAX_LEAVES
from app.store.version import Version
from tests.api.conflicts import UPDATED_AT, bring_versions
from tests.api.conftest import Answer, Caller
from tests.replication import replicate, revision

NAMES = {"documents": "title", "projects": "name"}
TEXTS = {"documents": "content", "projects": "description"}
every_kind = pytest.mark.parametrize("kind", NAMES)


def clash(ada: Caller, services: Services, kind: str = "documents") -> tuple[int, list[str]]:
    """Return an item with two versions that cannot be merged, and their tags."""
    public_id = ada.post(f"/{kind}", {NAMES[kind]: "Base", TEXTS[kind]: "one\ntwo\nthree\n"}).json["id"]
    versions = [
        {NAMES[kind]: "Ours", TEXTS[kind]: "one\nTWO\nthree\n"},
        {NAMES[kind]: "Base", TEXTS[kind]: "one\n2\nthree\n"},
    ]
    return public_id, bring_versions(services, kind, public_id, *versions)


def resolve(caller: Caller, path: str, tags: list[str], **how: Any) -> Answer:
    return caller.post(f"{path}/resolve", {"supersedes": tags, **how})


def leaves(services: Services, kind: str, public_id: int) -> tuple[str, ...]:
    """Return the live leaves of an item."""
    name = kind.removesuffix("s")
    return services.store.leaves(kind).revisions([f"{name}:{public_id:016d}"])[f"{name}:{public_id:016d}"]


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


@every_kind
@pytest.mark.parametrize("header", [{}, {"If-Match": "*"}], ids=["no condition", "any version"])
def test_a_write_that_names_no_version_is_refused(
    ada: Caller, services: Services, kind: str, header: dict[str, str]
) -> None:
    public_id, tags = clash(ada, services, kind)
    path, value = f"/{kind}/{public_id}", {NAMES[kind]: "New"}
    for method in ("PUT", "PATCH", "DELETE"):
        body = {} if method == "DELETE" else {"json": value}
        answer = ada.request(method, path, headers=header, **body)
        assert (answer.status_code, answer.json["error"]) == (409, "unresolved_conflict")
        assert f"GET {path}/conflicts" in answer.json["reason"]
    assert ada.get(path).headers["ETag"] == tags[0]


@every_kind
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_write_that_names_the_current_version_extends_it(
    ada: Caller, services: Services, kind: str, method: str
) -> None:
    public_id, tags = clash(ada, services, kind)
    path = f"/{kind}/{public_id}"
    stale = ada.request(method, path, json={NAMES[kind]: "New"}, headers={"If-Match": tags[1]})
    assert (stale.status_code, stale.headers["ETag"]) == (412, tags[0])
    answer = ada.request(method, path, json={NAMES[kind]: "New"}, headers={"If-Match": tags[0]})
    assert (answer.status_code, answer.headers["x-conflict"]) == (200, "true")
    versions = ada.get(f"{path}/conflicts").json["versions"]
    assert [version["etag"] for version in versions] == [answer.headers["ETag"], tags[1]]


@every_kind
def test_a_deletion_that_names_the_current_version_deletes_all(ada: Caller, services: Services, kind: str) -> None:
    public_id, tags = clash(ada, services, kind)
    path = f"/{kind}/{public_id}"
    assert ada.request("DELETE", path, headers={"If-Match": tags[0]}).status_code == 204
    assert [ada.get(each).status_code for each in (path, f"{path}/conflicts")] == [404, 404]
    assert resolve(ada, path, tags, keep=tags[0]).status_code == 404


@every_kind
@pytest.mark.parametrize("place", [0, 1])
def test_one_version_takes_the_place_of_all(ada: Caller, services: Services, kind: str, place: int) -> None:
    public_id, tags = clash(ada, services, kind)
    path = f"/{kind}/{public_id}"
    value = ada.get(f"{path}/conflicts").json["versions"][place]["value"]
    answer = resolve(ada, path, tags, keep=tags[place])
    assert (answer.status_code, answer.json) == (200, value)
    assert answer.headers["ETag"] not in tags
    assert "x-conflict" not in answer.headers
    assert leaves(services, kind, public_id) == (answer.headers["ETag"].strip('"'),)
    after = ada.get(f"{path}/conflicts").json
    assert (after["reason"], [version["etag"] for version in after["versions"]]) == (None, [answer.headers["ETag"]])


@every_kind
def test_a_new_value_takes_the_place_of_all(ada: Caller, services: Services, kind: str) -> None:
    public_id, tags = clash(ada, services, kind)
    answer = resolve(ada, f"/{kind}/{public_id}", [f"W/{tags[0]}", f'{tags[1][:-1]}-gzip"'], value={NAMES[kind]: "New"})
    assert (answer.status_code, answer.json) == (200, {"id": public_id, NAMES[kind]: "New"})
    assert len(leaves(services, kind, public_id)) == 1


def test_the_new_version_names_those_that_it_supersedes(ada: Caller, services: Services) -> None:
    """So the resolver can finish a resolution whose process has ended."""
    document_id, tags = clash(ada, services)
    resolve(ada, f"/documents/{document_id}", tags, keep=tags[1])
    stored = services.store["documents"].get(f"document:{document_id:016d}")
    assert stored is not None
    assert stored["merged_from"] == [tags[1].strip('"')]
    assert ada.request("PATCH", f"/documents/{document_id}", json={}).status_code == 200
    stored = services.store["documents"].get(f"document:{document_id:016d}")
    assert stored is not None
    assert "merged_from" not in stored


@pytest.mark.parametrize("how", [{"keep": 0}, {"keep": 1}, {"value": {"title": "New"}}], ids=str)
def test_a_resolution_that_has_not_seen_every_version_is_refused(
    ada: Caller, services: Services, how: dict[str, Any]
) -> None:
    document_id, tags = clash(ada, services)
    how = {"keep": tags[how["keep"]]} if "keep" in how else how
    seen = [how.get("keep", tags[0])]
    answer = resolve(ada, f"/documents/{document_id}", seen, **how)
    assert (answer.status_code, answer.json["error"]) == (409, "conflict")
    assert len(leaves(services, "documents", document_id)) == 2


def test_equal_versions_are_shown_and_named_once(ada: Caller, services: Services) -> None:
    document_id = ada.new_document("Base")["id"]
    tags = bring_versions(services, "documents", document_id, *({"title": title} for title in "abab"))
    path = f"/documents/{document_id}"
    assert [version["etag"] for version in ada.get(f"{path}/conflicts").json["versions"]] == tags[:2]
    assert resolve(ada, path, tags[:2], keep=tags[1]).json["title"] == "b"
    assert len(leaves(services, "documents", document_id)) == 1


def test_a_version_that_is_not_there_cannot_be_kept(ada: Caller, services: Services) -> None:
    document_id, tags = clash(ada, services)
    answer = resolve(ada, f"/documents/{document_id}", tags, keep=f'"{revision(7, "a")}"')
    assert (answer.status_code, answer.json["error"]) == (409, "conflict")


def test_a_second_resolution_of_the_same_versions_is_refused(ada: Caller, services: Services) -> None:
    document_id, tags = clash(ada, services)
    answers = [resolve(ada, f"/documents/{document_id}", tags, keep=tag) for tag in tags]
    assert [answer.status_code for answer in answers] == [200, 409]


@pytest.mark.parametrize("is_extended", [False, True])
def test_a_version_that_is_added_during_a_resolution_stays(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch, is_extended: bool
) -> None:
    """Either on top of a superseded version or beside all: it is not among those that the client has seen."""
    document_id, tags = clash(ada, services)
    finish = Conflicts._finish

    def add(self: Conflicts, *arguments: Any) -> None:
        stored = services.store["documents"].get(f"document:{document_id:016d}")
        assert stored is not None
        added = {name: value for name, value in stored.items() if name not in ("_rev", "merged_from")}
        parent = tags[1].strip('"') if is_extended else revision(2, "1")
        lineage = (revision(3, "0"), parent, *(["1-" + "0" * 32] if not is_extended else []))
        replicate(services.settings.couchdb_url, services.store["documents"].name, ({**added, "title": "+"}, lineage))
        finish(self, *arguments)

    monkeypatch.setattr(Conflicts, "_finish", add)
    answer = resolve(ada, f"/documents/{document_id}", tags, keep=tags[0])
    assert (answer.status_code, answer.json["error"]) == (409, "conflict")
    titles = {version["value"]["title"] for version in ada.get(f"/documents/{document_id}/conflicts").json["versions"]}
    assert titles == {"Ours", "+"}


def test_a_repeated_resolution_gets_the_first_answer(ada: Caller, services: Services) -> None:
    document_id, tags = clash(ada, services)
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    body = {"keep": tags[1], "supersedes": tags}
    first, again = (
        ada.request("POST", f"/documents/{document_id}/resolve", json=body, headers=headers) for _ in range(2)
    )
    assert (first.status_code, again.status_code, again.data) == (200, 200, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"


def test_an_interrupted_resolution_is_finished_by_its_repetition(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id, tags = clash(ada, services)
    path, headers = f"/documents/{document_id}/resolve", {"Idempotency-Key": secrets.token_hex(8)}
    body = {"value": {"title": "New"}, "supersedes": tags}
    with monkeypatch.context() as patched:
        patched.setattr(ItemConflicts, "supersede", unavailable)
        assert ada.request("POST", path, json=body, headers=headers).status_code == 503
    assert len(leaves(services, "documents", document_id)) == 2
    answer = ada.request("POST", path, json=body, headers=headers)
    assert (answer.status_code, answer.json["title"]) == (200, "New")
    assert leaves(services, "documents", document_id) == (answer.headers["ETag"].strip('"'),)


def test_the_resolver_finishes_a_resolution_whose_process_has_ended(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_id, tags = clash(ada, services)
    with monkeypatch.context() as patched:
        patched.setattr(ItemConflicts, "supersede", unavailable)
        assert resolve(ada, f"/documents/{document_id}", tags, value={"title": "New"}).status_code == 503
    doc_id = f"document:{document_id:016d}"
    list(services.resolver._reducer.reduce_each(DOCUMENT, [doc_id]))
    assert len(leaves(services, "documents", document_id)) == 1
    answer = ada.get(f"/documents/{document_id}")
    assert (answer.json["title"], "x-conflict" in answer.headers) == ("New", False)


def test_one_of_simultaneous_resolutions_succeeds(ada: Caller, services: Services) -> None:
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            document_id, tags = clash(ada, services)
            path = f"/documents/{document_id}"
            answers = list(threads.map(lambda tag, path=path, tags=tags: resolve(ada, path, tags, keep=tag), tags * 2))
            assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
            [answer] = [answer for answer in answers if answer.status_code == 200]
            assert leaves(services, "documents", document_id) == (answer.headers["ETag"].strip('"'),)


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


def test_a_deletion_deletes_very_many_versions(ada: Caller, services: Services) -> None:
    document_id = ada.new_document("Base")["id"]
    stored = services.store["documents"].get(DOCUMENT.doc_id(document_id))
    assert stored is not None
    base, count = stored.pop("_rev"), 2 * MAX_LEAVES + 1
    lineages = [(f"2-{number:032x}", base) for number in range(count)]
    branches = [({**stored, "title": lineage[0], "nonce": lineage[0][2:]}, lineage) for lineage in lineages]
    replicate(services.settings.couchdb_url, services.store["documents"].name, *branches)
    winner = ada.get(f"/documents/{document_id}")
    assert winner.headers["x-conflict"] == "true"
    headers = {"If-Match": winner.headers["ETag"]}
    assert ada.request("DELETE", f"/documents/{document_id}", headers=headers).status_code == 204
    assert ada.get(f"/documents/{document_id}").status_code == 404


def unavailable(*_: object) -> None:
    raise Unavailable


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({"supersedes": ["x"]}, "body.keep"),
        ({"keep": "x", "value": {"title": "x"}, "supersedes": ["x"]}, "body.keep"),
        ({"keep": '"x", "y"', "supersedes": ["x"]}, "body.keep"),
        ({"keep": "x"}, "body.supersedes"),
        ({"keep": "x", "supersedes": "x"}, "body.supersedes"),
        ({"value": {}, "supersedes": ["x"]}, "body.value.title"),
        ({"value": {"title": "x", "id": 7}, "supersedes": ["x"]}, "body.value.id"),
        ({"keep": "x", "supersedes": ["x"], "more": 1}, "body.more"),
    ],
)
def test_a_malformed_resolution_is_refused(ada: Caller, body: dict[str, Any], location: str) -> None:
    document_id = ada.new_document()["id"]
    answer = ada.post(f"/documents/{document_id}/resolve", body)
    assert (answer.status_code, [fault["location"] for fault in answer.json["errors"]]) == (400, [location])


def test_a_value_in_a_project_that_does_not_exist_is_refused(ada: Caller, services: Services) -> None:
    document_id, tags = clash(ada, services)
    answer = resolve(ada, f"/documents/{document_id}", tags, value={"title": "x", "project_id": 987654321})
    assert (answer.status_code, answer.json["errors"][0]["location"]) == (400, "body.value.project_id")


def test_a_version_whose_project_does_not_exist_cannot_be_kept(ada: Caller, services: Services) -> None:
    document_id = ada.new_document("Base")["id"]
    versions: list[dict[str, Any]] = [{"title": "Ours"}, {"title": "Theirs", "project_id": 987654321}]
    tags = bring_versions(services, "documents", document_id, *versions)
    answer = resolve(ada, f"/documents/{document_id}", tags, keep=tags[1])
    assert (answer.status_code, answer.json["error"]) == (409, "orphan")
    assert resolve(ada, f"/documents/{document_id}", tags, keep=tags[0]).status_code == 200


def test_the_condition_of_a_resolution_is_about_the_current_version(ada: Caller, services: Services) -> None:
    document_id, tags = clash(ada, services)
    body, path = {"keep": tags[1], "supersedes": tags}, f"/documents/{document_id}/resolve"
    answers = [ada.request("POST", path, json=body, headers={"If-Match": tag}) for tag in reversed(tags)]
    assert [answer.status_code for answer in answers] == [412, 200]


def test_operations_of_a_batch_are_refused_like_single_ones(ada: Caller, services: Services) -> None:
    document_id, tags = clash(ada, services)
    value = {"title": "New"}
    operations: list[dict[str, Any]] = [
        {"op": "replace", "id": document_id, "value": value},
        {"op": "patch", "id": document_id, "value": value},
        {"op": "delete", "id": document_id},
        {"op": "merge", "id": document_id, "base": value, "value": value},
        {"op": "merge", "id": document_id, "base": value, "value": value, "if_match": tags[0]},
        {"op": "replace", "id": document_id, "value": value, "if_match": tags[1]},
        {"op": "patch", "id": document_id, "value": value, "if_match": tags[0]},
        {"op": "patch", "id": document_id, "value": value},
    ]
    outcomes = ada.post("/documents/batch", {"operations": operations, "return": "current"}).json["outcomes"]
    assert [(outcome["status"], outcome.get("error")) for outcome in outcomes] == [
        *[(409, "unresolved_conflict")] * 5,
        (412, "precondition_failed"),
        (200, None),
        (409, "unresolved_conflict"),
    ]
    assert outcomes[0]["current"]["value"]["title"] == "New"
    deletion = {"op": "delete", "id": document_id, "if_match": outcomes[6]["etag"]}
    assert ada.post("/documents/batch", {"operations": [deletion]}).json["outcomes"][0]["status"] == 204
    assert ada.get(f"/documents/{document_id}").status_code == 404


def test_a_copy_is_made_of_the_current_version(ada: Caller, services: Services) -> None:
    document_id, _ = clash(ada, services)
    answer = ada.post(f"/documents/{document_id}/copy", {})
    assert (answer.status_code, answer.json["title"], "x-conflict" in answer.headers) == (201, "Ours", False)


@every_kind
def test_versions_that_can_be_merged_stop_no_write(ada: Caller, services: Services, kind: str) -> None:
    name, text = NAMES[kind], TEXTS[kind]
    public_id = ada.post(f"/{kind}", {name: "Base", text: "one\n"}).json["id"]
    bring_versions(services, kind, public_id, {name: "New"}, {text: "two\n"})
    path = f"/{kind}/{public_id}"
    view = ada.get(f"{path}/conflicts").json
    assert (view["reason"], view["pending"], len(view["versions"])) == (None, True, 2)
    assert "x-conflict" not in ada.get(path).headers
    assert ada.request("PATCH", path, json={name: "Newer"}).status_code == 200
    assert ada.request("DELETE", path).status_code == 204
    assert ada.get(path).status_code == 404


def test_a_missing_scope_is_refused(caller: Callable[..., Caller], ada: Caller, services: Services) -> None:
    document_id, tags = clash(ada, services)
    reader = caller("documents:read")
    assert reader.get(f"/documents/{document_id}/conflicts").status_code == 200
    assert resolve(reader, f"/documents/{document_id}", tags, keep=tags[0]).status_code == 403
    assert caller("projects:read").get(f"/documents/{document_id}/conflicts").status_code == 403

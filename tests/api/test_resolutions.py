"""A resolution replaces all versions by one: once, and only if the client names each of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.domain.conflicts.conflicts import Conflicts
from app.domain.conflicts.item_conflicts import ItemConflicts
from app.domain.resources import DOCUMENT
from app.errors import Unavailable
from app.services import Services
from tests.api.clashes import NAMES, clash, every_kind, leaves, resolve
from tests.api.conflicts import bring_versions
from tests.api.conftest import Caller
from tests.replication import replicate, revision


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


def test_a_missing_scope_is_refused(caller: Callable[..., Caller], ada: Caller, services: Services) -> None:
    document_id, tags = clash(ada, services)
    reader = caller("documents:read")
    assert reader.get(f"/documents/{document_id}/conflicts").status_code == 200
    assert resolve(reader, f"/documents/{document_id}", tags, keep=tags[0]).status_code == 403
    assert caller("projects:read").get(f"/documents/{document_id}/conflicts").status_code == 403

"""Replacing, patching, deleting and copying: conditions, races and tombstones."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import pytest

from app import Application
from app.domain.access import SCOPES
from app.domain.resources import DOCUMENT
from app.services import Services
from app.store import Database
from tests.api.conftest import Answer, Caller

KINDS = ("documents", "projects")
FIELDS: dict[str, dict[str, Any]] = {
    "documents": {"title": "One", "content": "text"},
    "projects": {"name": "One", "description": "text"},
}
NAME, MORE = {"documents": "title", "projects": "name"}, {"documents": "content", "projects": "description"}


def make(ada: Caller, kind: str) -> tuple[str, dict[str, Any], str]:
    """Make an item; return its path, itself and its tag."""
    answer = ada.post(f"/{kind}", FIELDS[kind])
    assert answer.status_code == 201, answer.text
    return f"/{kind}/{answer.json['id']}", answer.json, answer.headers["ETag"]


def send(caller: Caller, method: str, path: str, value: object = None, **headers: str) -> Answer:
    """Send one request with a JSON body, if there is one."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return caller.request(method, path, headers=named, **({} if value is None else {"json": value}))


@pytest.mark.parametrize("kind", KINDS)
def test_put_replaces_all_members(ada: Caller, kind: str) -> None:
    path, item, tag = make(ada, kind)
    answer = send(ada, "PUT", path, {NAME[kind]: "Two"})
    assert (answer.status_code, answer.json) == (200, {"id": item["id"], NAME[kind]: "Two"})
    read = ada.get(path)
    assert (read.json, read.headers["ETag"]) == (answer.json, answer.headers["ETag"])
    assert answer.headers["ETag"] != tag
    assert answer.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("declared", ["application/json", "application/merge-patch+json"])
def test_patch_sets_and_removes_members(ada: Caller, kind: str, declared: str) -> None:
    path, item, _ = make(ada, kind)
    answer = send(ada, "PATCH", path, {NAME[kind]: "Two"}, content_type=declared)
    assert (answer.status_code, answer.json) == (200, {**item, NAME[kind]: "Two"})
    assert send(ada, "PATCH", path, {MORE[kind]: None}).json == {"id": item["id"], NAME[kind]: "Two"}
    assert ada.get(path).json == {"id": item["id"], NAME[kind]: "Two"}
    assert send(ada, "PATCH", path, {}).json == {"id": item["id"], NAME[kind]: "Two"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_patch_cannot_remove_a_required_member(ada: Caller, kind: str) -> None:
    path, item, tag = make(ada, kind)
    for bad in ({NAME[kind]: None}, {NAME[kind]: ""}, {"id": 5}, {"more": 1}, [1], "text"):
        answer = ada.request("PATCH", path, json=bad)
        assert answer.status_code == 400, bad
    assert (ada.get(path).json, ada.get(path).headers["ETag"]) == (item, tag)


@pytest.mark.parametrize("kind", KINDS)
def test_a_deleted_item_stays_deleted(ada: Caller, kind: str) -> None:
    path, item, _ = make(ada, kind)
    answer = send(ada, "DELETE", path)
    assert (answer.status_code, answer.data, "Content-Type" in answer.headers) == (204, b"", False)
    for method, value in (("GET", None), ("PUT", FIELDS[kind]), ("PATCH", {}), ("DELETE", None), ("COPY", None)):
        assert send(ada, method, path, value).status_code == 404, method
    assert ada.get(f"/{kind}?ids={item['id']}").json == []


def test_a_tombstone_keeps_the_project(ada: Caller, services: Services) -> None:
    project_id = ada.new_project()["id"]
    document = ada.new_document("Secret", project_id=project_id, content="secret")
    assert send(ada, "DELETE", f"/documents/{document['id']}").status_code == 204
    [tombstone] = [
        row["doc"]
        for row in services.store["documents"]._exchange.send("GET", "_changes", params={"include_docs": True})[
            "results"
        ]
        if row["id"] == DOCUMENT.doc_id(document["id"])
    ]
    members = {name: tombstone[name] for name in ("type", "id", "project_id", "_deleted")}
    assert members == {"type": "document", "id": document["id"], "project_id": project_id, "_deleted": True}
    assert "Secret" not in str(tombstone)


# Each write with a condition, and its success.
CONDITIONAL = [("PUT", "", 200), ("PATCH", "", 200), ("DELETE", "", 204), ("COPY", "", 201), ("POST", "/copy", 201)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("method", "suffix", "ok"), CONDITIONAL)
def test_if_match_lets_only_the_current_tag_pass(ada: Caller, kind: str, method: str, suffix: str, ok: int) -> None:
    path, _, old = make(ada, kind)
    current = send(ada, "PUT", path, FIELDS[kind]).headers["ETag"]
    value = FIELDS[kind] if method in ("PUT", "PATCH") else None
    for stale in (old, '"1-0123456789abcdef0123456789abcdef"', '"x"', "x", "", f'{old}, "x"', '"9-x*"'):
        answer = send(ada, method, path + suffix, value, if_match=stale)
        assert (answer.status_code, answer.json["error"]) == (412, "precondition_failed"), stale
        assert answer.headers["ETag"] == current
    assert ada.get(path).headers["ETag"] == current
    assert send(ada, method, path + suffix, value, if_match=current).status_code == ok


@pytest.mark.parametrize(("method", "suffix", "ok"), CONDITIONAL)
def test_if_none_match_lets_no_tag_pass_that_it_names(ada: Caller, method: str, suffix: str, ok: int) -> None:
    path, _, tag = make(ada, "documents")
    value = FIELDS["documents"] if method in ("PUT", "PATCH") else None
    for named in ("*", tag, f'"x", W/{tag}'):
        answer = send(ada, method, path + suffix, value, if_none_match=named)
        assert (answer.status_code, answer.headers["ETag"]) == (412, tag), named
    assert ada.get(path).headers["ETag"] == tag
    assert send(ada, method, path + suffix, value, if_none_match='"x"').status_code == ok


@pytest.mark.parametrize(("method", "suffix", "ok"), CONDITIONAL)
def test_if_unmodified_since_is_met_only_beside_if_match(ada: Caller, method: str, suffix: str, ok: int) -> None:
    path, _, tag = make(ada, "documents")
    value = FIELDS["documents"] if method in ("PUT", "PATCH") else None
    for date in (ada.get(path).headers["Last-Modified"], "Fri, 31 Dec 2099 23:59:59 GMT", "then"):
        answer = send(ada, method, path + suffix, value, if_unmodified_since=date)
        assert (answer.status_code, answer.headers["ETag"]) == (412, tag), date
        assert "If-Match" in answer.json["reason"]
        assert send(ada, method, "/documents/999999" + suffix, value, if_unmodified_since=date).status_code == 404
    assert send(ada, method, path + suffix, value, if_match=tag, if_unmodified_since="then").status_code == ok


def test_if_modified_since_is_ignored(ada: Caller) -> None:
    path, item, _ = make(ada, "documents")
    assert send(ada, "GET", path, if_modified_since="Fri, 31 Dec 2099 23:59:59 GMT").json == item
    assert send(ada, "PUT", path, FIELDS["documents"], if_modified_since="then").status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_shows_when_it_was_updated(ada: Caller, services: Services, kind: str) -> None:
    path, item, tag = make(ada, kind)
    stored = services.store[kind].get(f"{kind[:-1]}:{item['id']:016d}")
    assert stored is not None
    moment = format_datetime(datetime.fromisoformat(stored["updated_at"]).astimezone(UTC), usegmt=True)
    answers = [ada.get(path), send(ada, "HEAD", path), ada.get(path, if_none_match=tag), send(ada, "PATCH", path, {})]
    assert [answer.status_code for answer in answers] == [200, 200, 304, 200]
    assert [answer.headers["Last-Modified"] for answer in answers[:3]] == [moment] * 3
    created = [ada.post(f"/{kind}", FIELDS[kind]), send(ada, "COPY", path), send(ada, "PUT", path, FIELDS[kind])]
    assert all(parsedate_to_datetime(answer.headers["Last-Modified"]) for answer in created)
    assert "Last-Modified" not in ada.get(f"/{kind}").headers


def test_no_item_was_updated_in_the_future(ada: Caller, services: Services) -> None:
    """Another host's clock may be ahead, and people may write any time in Fauxton."""
    path, item, _ = make(ada, "documents")
    database, doc_id = services.store["documents"], DOCUMENT.doc_id(item["id"])
    database.replace({**(database.get(doc_id) or {}), "updated_at": "2099-01-01T00:00:00.000000Z"})
    moment = parsedate_to_datetime(ada.get(path, cache_control="no-cache").headers["Last-Modified"])
    assert moment <= datetime.now(UTC)


@pytest.mark.parametrize("written", ["W/{}", '"{}-gzip"', 'W/"{}-gzip"', '"1-{}", {}', "*"])
def test_a_tag_may_come_back_as_proxies_leave_it(ada: Caller, written: str) -> None:
    path, _, tag = make(ada, "documents")
    text = written.format(tag, tag) if "gzip" not in written else written.format(tag.strip('"'))
    assert send(ada, "PUT", path, FIELDS["documents"], if_match=text).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("method", "suffix", "value"), [("COPY", "", None), ("POST", "/copy", None), ("POST", "/copy", {})]
)
def test_a_copy_is_an_item_of_its_own(ada: Caller, kind: str, method: str, suffix: str, value: Any) -> None:
    path, item, _ = make(ada, kind)
    answer = send(ada, method, path + suffix, value)
    assert answer.status_code == 201
    assert answer.json == {**item, "id": answer.json["id"]}
    assert answer.json["id"] > item["id"]
    copy = f"/{kind}/{answer.json['id']}"
    assert answer.headers["Location"].endswith(copy)
    assert (ada.get(copy).json, ada.get(copy).headers["ETag"]) == (answer.json, answer.headers["ETag"])


@pytest.mark.parametrize(("method", "suffix"), [("COPY", ""), ("POST", "/copy")])
def test_a_copy_takes_no_members(ada: Caller, method: str, suffix: str) -> None:
    path = make(ada, "documents")[0] + suffix
    assert send(ada, method, path, {"title": "Other"}).json["errors"][0]["location"] == "body.title"
    assert ada.request(method, path, data=b"{}", content_type="text/plain").status_code == 415
    assert ada.request(method, path, data=b"{", content_type="application/json").json["error"] == "invalid_json"
    assert ada.request(method, path, data=b"", content_type="text/plain").status_code == 201


def test_of_conditional_writers_exactly_one_wins(ada: Caller) -> None:
    path, _, tag = make(ada, "documents")
    with ThreadPoolExecutor(16) as pool:
        for _ in range(5):
            tried = [pool.submit(send, ada, "PUT", path, {"title": str(n)}, if_match=tag) for n in range(16)]
            answers = [one.result() for one in tried]
            assert sorted(answer.status_code for answer in answers) == [200] + [412] * 15
            [winner] = [answer for answer in answers if answer.status_code == 200]
            tag = winner.headers["ETag"]
            assert (ada.get(path).json, ada.get(path).headers["ETag"]) == (winner.json, tag)


def test_patches_without_a_condition_all_count(ada: Caller) -> None:
    """Each sets another member, so that all of them must show at the end."""
    project_id = ada.new_project()["id"]
    path, _, _ = make(ada, "documents")
    patches: list[dict[str, Any]] = [{"title": "New"}, {"content": "new"}, {"project_id": project_id}]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda patch: send(ada, "PATCH", path, patch), patches))
    assert [answer.status_code for answer in answers] == [200] * 3
    assert ada.get(path).json.items() >= {"title": "New", "content": "new", "project_id": project_id}.items()


def test_a_race_that_is_lost_every_time_is_a_conflict(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    path, item, _ = make(ada, "documents")
    replace = Database.replace

    def overtaken(self: Database, document: dict[str, Any]) -> str:
        """Write something else first."""
        stored = self.get(document["_id"])
        assert stored is not None
        replace(self, {**stored, "content": stored["content"] + "!"})
        return replace(self, document)

    monkeypatch.setattr(Database, "replace", overtaken)
    for method, value in (("PUT", {"title": "x"}), ("PATCH", {"title": "x"}), ("DELETE", None)):
        answer = send(ada, method, path, value)
        assert (answer.status_code, answer.json["error"]) == (409, "conflict")
    assert ada.get(path).json["title"] == item["title"]


@pytest.fixture
def limited(app: Application, services: Services) -> Callable[..., Caller]:
    """Make callers with all scopes and these limits."""

    def make_key(**limits: Any) -> Caller:
        return Caller(app, services.keys.create("limited", SCOPES, **limits)[1])

    return make_key


@pytest.mark.parametrize("mode", ["forbid", "hide"])
def test_a_move_needs_both_ends(ada: Caller, limited: Callable[..., Caller], mode: str) -> None:
    own, other, foreign = (ada.new_project()["id"] for _ in range(3))
    document, loose = ada.new_document(project_id=own)["id"], ada.new_document()["id"]
    key = limited(projects=[own, other], documents=[loose], out_of_scope=mode)
    assert send(key, "PATCH", f"/documents/{document}", {"project_id": other}).status_code == 200
    assert send(key, "PATCH", f"/documents/{document}", {"project_id": None}).status_code == 403
    absent, hidden = (
        send(key, "PATCH", f"/documents/{document}", {"project_id": project}) for project in (999_999_999, foreign)
    )
    assert (absent.status_code, hidden.status_code) == {"forbid": (403, 403), "hide": (400, 400)}[mode]
    # A document within the limits only by its own id stays in its project.
    assert send(key, "PATCH", f"/documents/{loose}", {"title": "Renamed"}).status_code == 200
    assert send(key, "PATCH", f"/documents/{loose}", {"project_id": own}).status_code == 403
    assert isinstance(ada.get(f"/documents/{document}").json["project_id"], int)

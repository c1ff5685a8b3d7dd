"""Merges in batches: changes of others are kept, clashes are shown, and a repetition changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app import Application
from app.domain.batches import current as currents
from app.domain.batches import merges
from app.domain.items import Items
from app.store import Database
from tests.api.conftest import Caller
from tests.api.offline import current, outcomes, send

BASE = {"title": "Old", "content": "a\nb\nc\n"}


def merge(item: int, value: dict[str, Any], base: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """Return an operation that merges a value."""
    return {"op": "merge", "id": item, "base": base or BASE, "value": value, **members}


def changed(caller: Caller, **changes: Any) -> int:
    """Return the id of a document that others have changed since BASE."""
    document_id: int = caller.new_document(**BASE)["id"]
    caller.request("PATCH", f"/documents/{document_id}", json=changes)
    return document_id


def revision_count(app: Application, document_id: int) -> int:
    """Return how many revisions a document has had."""
    tag = Caller(app, None).app.services.documents.items.get(document_id).revision
    return int(tag.partition("-")[0])


def test_changes_of_both_are_joined(ada: Caller) -> None:
    document_id = changed(ada, content="a\nb\nC\n")
    [outcome] = send(ada, merge(document_id, {"title": "New", "content": "A\nb\nc\n"}))
    joined = {"id": document_id, "title": "New", "content": "A\nb\nC\n"}
    now = current(ada, f"/documents/{document_id}")
    assert now["value"] == joined
    assert outcome == {"status": 200, "id": document_id, "etag": now["etag"], "merged": True, "current": now}


def test_a_project_is_merged_too(ada: Caller) -> None:
    base = {"name": "Old", "description": "a\nb\nc\n"}
    project_id = ada.new_project(**base)["id"]
    ada.request("PATCH", f"/projects/{project_id}", json={"description": "a\nb\nC\n"})
    [outcome] = send(ada, merge(project_id, {"name": "New", "description": "A\nb\nc\n"}, base), kind="projects")
    assert outcome["current"]["value"] == {"id": project_id, "name": "New", "description": "A\nb\nC\n"}


def test_a_value_that_met_no_changes_is_stored_as_it_is(ada: Caller) -> None:
    document_id = ada.new_document(**BASE)["id"]
    [outcome] = send(ada, merge(document_id, {"title": "New"}), return_="current")
    assert outcome == {"status": 200, "id": document_id, "etag": current(ada, f"/documents/{document_id}")["etag"]}
    assert ada.get(f"/documents/{document_id}").json == {"id": document_id, "title": "New"}


@pytest.mark.parametrize("value", [{"title": "Old", "content": "a\nb\nC\n"}, BASE], ids=["the same", "no change"])
def test_a_result_that_is_stored_already_writes_nothing(ada: Caller, app: Application, value: dict[str, Any]) -> None:
    document_id = changed(ada, content="a\nb\nC\n")
    [outcome] = send(ada, merge(document_id, value))
    assert (outcome["status"], revision_count(app, document_id)) == (200, 2)
    assert outcome["etag"] == current(ada, f"/documents/{document_id}")["etag"]
    assert ("merged" in outcome) == (value == BASE)


def test_a_repeated_merge_changes_nothing(ada: Caller, app: Application) -> None:
    document_id = changed(ada, content="a\nb\nC\n")
    operation = merge(document_id, {"title": "New", "content": "A\nb\nc\n"})
    first, second, third = [send(ada, operation), send(ada, operation), send(ada, operation)]
    assert first == second == third
    assert revision_count(app, document_id) == 3


def test_merges_of_one_document_build_on_each_other(ada: Caller) -> None:
    document_id = ada.new_document(**BASE)["id"]
    first, second = send(
        ada,
        merge(document_id, {"title": "Old", "content": "A\nb\nc\n"}),
        merge(document_id, {"title": "Old", "content": "a\nb\nC\n"}),
    )
    assert "merged" not in first
    assert second["current"]["value"]["content"] == "A\nb\nC\n"


def test_a_clash_writes_nothing_and_shows_both(ada: Caller, app: Application) -> None:
    base = {"title": "Old", "content": "a\nb\nc\nd\n"}
    document_id = ada.new_document(**base)["id"]
    ada.request("PATCH", f"/documents/{document_id}", json={"content": "X\nb\nc\nD\n"})
    [outcome] = send(ada, merge(document_id, {"title": "New", "content": "Y\nb\nc\nd\n"}, base))
    assert (outcome["status"], outcome["error"], revision_count(app, document_id)) == (409, "conflict", 2)
    assert outcome["current"] == current(ada, f"/documents/{document_id}")
    assert outcome["merge"] == {
        "title": {"state": "clean", "value": "New"},
        "content": {
            "state": "clash",
            "hunks": [
                {"base": "a\n", "versions": {"current": "X\n", "value": "Y\n"}},
                {"merged": "b\nc\nD\n"},
            ],
        },
        "project_id": {"state": "clean"},
    }


def test_a_member_that_is_no_text_clashes_as_a_whole(ada: Caller) -> None:
    document_id = changed(ada, title="Theirs", content=None)
    [outcome] = send(ada, merge(document_id, {"title": "Mine", "content": "A\nb\nc\n"}))
    hunks = {name: outcome["merge"][name]["hunks"] for name in BASE}
    assert hunks == {
        "title": [{"base": "Old", "versions": {"current": "Theirs", "value": "Mine"}}],
        "content": [{"base": BASE["content"], "versions": {"current": None, "value": "A\nb\nc\n"}}],
    }


def test_a_deleted_document_is_never_revived(ada: Caller) -> None:
    document_id = ada.new_document(**BASE)["id"]
    ada.request("DELETE", f"/documents/{document_id}")
    deleted, absent = send(ada, merge(document_id, {"title": "New"}), merge(987654321, {"title": "New"}))
    assert (deleted["status"], deleted["current"]["deleted"]) == (404, True)
    assert (absent["status"], "current" in absent) == (404, False)
    assert ada.get(f"/documents/{document_id}").status_code == 404


def test_a_condition_is_checked_before_a_clash(ada: Caller) -> None:
    document_id = changed(ada, title="Theirs")
    [outcome] = send(ada, merge(document_id, {"title": "Mine"}, if_value=BASE))
    assert (outcome["status"], outcome["current"]) == (412, current(ada, f"/documents/{document_id}"))


def test_a_merge_into_a_project_that_is_gone_is_refused(ada: Caller) -> None:
    project_id = ada.new_project()["id"]
    ada.request("DELETE", f"/projects/{project_id}")
    document_id = ada.new_document(**BASE)["id"]
    [outcome] = send(ada, merge(document_id, {**BASE, "project_id": project_id}))
    assert (outcome["status"], outcome["reason"]) == (400, f"value.project_id: There is no project {project_id}.")


def test_a_result_that_is_too_large_is_a_conflict(ada: Caller) -> None:
    base = {"title": "Old", "content": "a\nb\nc\n"}
    document_id = changed(ada, content="x" * 600_000 + "\nb\nc\n")
    [outcome] = send(ada, merge(document_id, {"title": "Old", "content": "a\nb\n" + "y" * 600_000}, base))
    assert (outcome["status"], outcome["error"]) == (409, "conflict")
    assert outcome["reason"] == "The merged value is larger than 1048576 bytes."
    assert outcome["current"] == current(ada, f"/documents/{document_id}")
    assert "merge" not in outcome


@pytest.mark.parametrize("missing", ["base", "value", "id"])
def test_a_merge_needs_its_members(ada: Caller, missing: str) -> None:
    operation = {name: it for name, it in merge(1, {"title": "New"}).items() if name != missing}
    [outcome] = send(ada, operation)
    assert (outcome["status"], outcome["reason"]) == (400, f"{missing}: Missing data for required field.")


def test_only_a_merge_has_a_base(ada: Caller) -> None:
    [outcome] = send(ada, {"op": "patch", "id": 1, "value": {"title": "New"}, "base": BASE})
    assert (outcome["status"], outcome["reason"]) == (400, "base: Not allowed for patch.")


def test_a_base_is_read_as_strictly_as_a_value(ada: Caller) -> None:
    results = send(ada, *(merge(1, {"title": "New"}, each) for each in ({"title": ""}, {"title": "x", "id": 1})))
    assert [(outcome["status"], outcome["reason"].partition(":")[0]) for outcome in results] == [
        (400, "base.title"),
        (400, "base.id"),
    ]


def test_a_merge_that_lost_a_race_is_made_again(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    document_id = ada.new_document(**BASE)["id"]
    update_many, others = Items.update_many, [{"content": "a\nb\nC\n"}]

    def overtaken(items: Items, updates: Any, known: Any) -> dict[str, Any]:
        if others:
            ada.request("PATCH", f"/documents/{document_id}", json=others.pop())
        return update_many(items, updates, known)

    monkeypatch.setattr(Items, "update_many", overtaken)
    [outcome] = send(ada, merge(document_id, {"title": "Old", "content": "A\nb\nc\n"}))
    assert (outcome["status"], outcome["merged"]) == (200, True)
    assert ada.get(f"/documents/{document_id}").json["content"] == "A\nb\nC\n"


def test_no_line_of_racing_merges_is_lost(ada: Caller) -> None:
    lines = [f"{n}\n\n" for n in range(6)]
    base = {"title": "Race", "content": "".join(lines)}
    document_id = ada.new_document(**base)["id"]

    def write(n: int) -> list[dict[str, Any]]:
        own = "".join([*lines[:n], f"{n} by a writer\n\n", *lines[n + 1 :]])
        # The answer says so if others won every time; then the client sends it again.
        for _ in range(10):
            results = send(ada, merge(document_id, {"title": "Race", "content": own}, base))
            if results[0]["status"] == 200:
                return results
        return results

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(write, range(6)))
    assert [outcome["status"] for (outcome,) in results] == [200] * 6
    content = ada.get(f"/documents/{document_id}").json["content"]
    assert content == "".join(f"{n} by a writer\n\n" for n in range(6))


def test_a_repeated_batch_recognises_its_merge(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer of the first run is lost after its merge was stored."""
    document_id = changed(ada, content="a\nb\nC\n")
    body = {"operations": [merge(document_id, {"title": "New", "content": "A\nb\nc\n"})]}
    headers, failures = {"Idempotency-Key": "a-merge"}, [RuntimeError("the worker dies")]
    update_many = Items.update_many

    def dying(items: Items, updates: Any, known: Any) -> dict[str, Any]:
        results = update_many(items, updates, known)
        if failures:
            raise failures.pop()
        return results

    monkeypatch.setattr(Items, "update_many", dying)
    assert ada.request("POST", "/documents/batch", json=body, headers=headers).status_code == 500
    value = ada.get(f"/documents/{document_id}").json
    [outcome] = outcomes(ada.request("POST", "/documents/batch", json=body, headers=headers))
    assert (outcome["status"], outcome["merged"], outcome["current"]["value"]) == (200, True, value)
    assert outcome["current"] == current(ada, f"/documents/{document_id}")


def test_merges_without_time_are_left_for_a_repetition(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [changed(ada, content="a\nb\nC\n") for _ in range(2)]
    monkeypatch.setattr(merges, "TIME_SHARE", -1)
    results = send(ada, *(merge(each, {"title": "New", "content": "A\nb\nc\n"}) for each in ids))
    assert [(outcome["status"], outcome["error"]) for outcome in results] == [(503, "unavailable")] * 2
    monkeypatch.setattr(merges, "TIME_SHARE", 0.3)
    results = send(ada, *(merge(each, {"title": "New", "content": "A\nb\nc\n"}) for each in ids))
    assert [outcome["status"] for outcome in results] == [200, 200]


def test_hunks_beyond_the_limit_are_left_out(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    document_id = changed(ada, title="Theirs")
    monkeypatch.setattr(currents, "MAX_BYTES", 100)
    [outcome] = send(ada, merge(document_id, {"title": "Mine"}))
    assert (outcome["current"]["value"]["title"], "merge" in outcome) == ("Theirs", False)


def test_a_hundred_merges_are_written_together(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [outcome["id"] for outcome in send(ada, *[{"op": "create", "value": BASE}] * 100)]
    sizes: list[int] = []
    write_many = Database.write_many

    def counted(database: Database, documents: Any) -> Any:
        if documents:
            sizes.append(len(documents))
        return write_many(database, documents)

    monkeypatch.setattr(Database, "write_many", counted)
    results = send(ada, *(merge(each, {"title": "New"}) for each in ids))
    assert [outcome["status"] for outcome in results] == [200] * 100
    assert sizes == [100]

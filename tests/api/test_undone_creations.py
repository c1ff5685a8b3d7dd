"""A creation that its first run took back has used up its id: its repetition says so, and never that it is done."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from app.domain.clock import timestamp
from app.domain.idempotency import Idempotency
from app.errors import Unconfirmed
from app.store import Database, DocumentFailure
from app.store import confirmed_writes as writes
from app.store.write_id import undoing
from app.wiring import Services
from tests.api.conftest import Caller, Mark, of_items
from tests.api.test_batches import create, outcomes, send
from tests.api.test_idempotency import end_leases
from tests.api.test_idempotency import send as send_one

Ask = Callable[[], tuple[int, str]]


@pytest.fixture(params=["one", "batch"])
def ask(request: pytest.FixtureRequest, ada: Caller) -> Ask:
    """Ask for the same document again and again: the status, and its project if it was made."""
    key, project = secrets.token_hex(8), ada.new_project()["id"]

    def ask() -> tuple[int, str]:
        if request.param == "one":
            answer = send_one(ada, "POST", "/documents", {"title": "New", "project_id": project}, key)
            return answer.status_code, f"/projects/{project}"
        # A second creation that fails keeps the first run's answer from being kept.
        (first, *_) = outcomes(send(ada, [create("New", project_id=project), create("Late")], Idempotency_Key=key))
        return first["status"], f"/projects/{project}"

    return ask


@pytest.mark.parametrize("then", ["pass", "lost after"])
def test_it_is_not_sent_again(
    ada: Caller, services: Services, mark: Mark, monkeypatch: pytest.MonkeyPatch, ask: Ask, then: str
) -> None:
    """The first run's taking back is stored and its answer lost; then the deletion of the project gives way."""
    monkeypatch.setattr(writes, "LOOKS", 0)
    write_many, project = Database.write_many, 0

    def stored(write: Any) -> Any:
        def single(self: Database, document: dict[str, Any]) -> str:
            nonlocal project
            revision = str(write(self, document))
            if document.get("project_id"):
                project = document["project_id"]
                mark(project, True)
            if document.get("_deleted"):
                raise Unconfirmed
            return revision

        return single

    def many(self: Database, documents: list[dict[str, Any]]) -> Any:
        nonlocal project
        late = {each["_id"]: DocumentFailure.UNKNOWN for each in documents if each.get("title") == "Late"}
        found = late | write_many(self, [each for each in documents if each["_id"] not in late])
        project = next(each["project_id"] for each in documents if "project_id" in each)
        mark(project, True)
        return found

    with monkeypatch.context() as first:
        first.setattr(Idempotency, "release", lambda *_: None)
        first.setattr(Database, "create", stored(Database.create))
        first.setattr(Database, "replace", stored(Database.replace))
        first.setattr(Database, "write_many", of_items(many))
        assert ask()[0] == 503
    mark(project, False)
    end_leases(services)
    sent: list[str] = []

    def noted(write: Any) -> Any:
        def single(self: Database, document: dict[str, Any]) -> Any:
            sent.append(document.get("title", ""))
            revision = write(self, document)
            if then == "lost after" and document.get("title") == "New":
                raise Unconfirmed
            return revision

        return single

    def noted_many(self: Database, documents: list[dict[str, Any]]) -> Any:
        sent.extend(document.get("title", "") for document in documents)
        found = write_many(self, documents)
        lost = {each["_id"]: DocumentFailure.UNKNOWN for each in documents if each.get("title") == "New"}
        return found | lost if then == "lost after" else found

    with monkeypatch.context() as second:
        second.setattr(Database, "create", noted(Database.create))
        second.setattr(Database, "write_many", of_items(noted_many))
        status, place = ask()
    assert status == 409
    assert "New" not in sent
    assert ada.get(f"{place}/documents").json == []


def test_what_undoes_it_may_arrive_during_its_repetition(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    """The repetition finds the document, and before it is proven the first run's tombstone arrives."""
    monkeypatch.setattr(writes, "LOOKS", 0)
    made, undone = list[dict[str, Any]](), list[str]()
    wrote = Database.write_many, Database.create, Database.replace

    def lost(write: Any) -> Any:
        def single(self: Database, document: dict[str, Any]) -> Any:
            revision = write(self, document)
            if document.get("title") == "New":
                made.append({**document, "_rev": revision})
                raise Unconfirmed
            return revision

        return single

    def lost_of_many(self: Database, documents: list[dict[str, Any]]) -> Any:
        found = wrote[0](self, documents)
        made.append({**documents[0], "_rev": found[documents[0]["_id"]]})
        return dict.fromkeys(found, DocumentFailure.UNKNOWN)

    def undone_first(write: Any) -> Any:
        def late(self: Database, given: Any) -> Any:
            first = given[0] if isinstance(given, list) else given
            if made and first.get("_id") == made[0]["_id"]:
                document = made.pop()
                undone.append(document["_id"])
                kept = {name: document[name] for name in ("_id", "_rev", "type", "id", "project_id")}
                nonce = undoing(document["nonce"])
                wrote[2](self, {**kept, "_deleted": True, "nonce": nonce, "updated_at": timestamp()})
            return write(self, given)

        return late

    with monkeypatch.context() as first:
        first.setattr(Idempotency, "release", lambda *_: None)
        first.setattr(Database, "create", lost(wrote[1]))
        first.setattr(Database, "write_many", of_items(lost_of_many))
        assert ask()[0] == 503
    end_leases(services)
    with monkeypatch.context() as second:
        second.setattr(Database, "replace", undone_first(wrote[2]))
        second.setattr(Database, "write_many", undone_first(wrote[0]))
        status, place = ask()
    assert made == []
    # It is not sent once more, to come to life and be buried.
    lineages = [leaf.lineage for leaf in services.store["documents"].leaves(undone).values()]
    assert [len(lineage) for lineage in lineages] == [2]
    assert status == 409
    assert ada.get(f"{place}/documents").json == []

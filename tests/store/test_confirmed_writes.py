"""Writes whose answer is lost, before or after they were stored, once or permanently."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import Conflict, ServiceError, Unavailable, Unconfirmed
from app.store import Database, Outcome, Store, confirmed_writes
from app.store.confirmed_writes import ConfirmedWrites
from app.store.items import ItemWrite, StoredItem, WriteId
from tests.couch.misbehaving_server import MisbehavingServer, answer
from tests.store.losing import Losing


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmed_writes, "MAX_PAUSE_SECONDS", 0.0)


def losing(documents: Database, *script: str) -> tuple[ConfirmedWrites, Losing]:
    """Return writes through a database that loses answers, and that database."""
    database = Losing(documents, *script)
    return ConfirmedWrites(database), database  # type: ignore[arg-type]


def write(doc_id: str = "a", replaces: str | None = None, *, deletes: bool = False, **fields: Any) -> ItemWrite:
    return ItemWrite(doc_id, fields, WriteId(), replaces, deletes)


def store(writes: ConfirmedWrites, item: ItemWrite, *, many: bool) -> StoredItem:
    """Store one item, by itself or among many."""
    if not many:
        return writes.store(item)
    result = writes.store_many([item])[item.doc_id]
    if isinstance(result, ServiceError):
        raise result
    return result


def stored(documents: Database) -> dict[str, Any]:
    document = documents.get("a")
    assert document is not None
    return document


def delete_first(documents: Database) -> None:
    """Leave a tombstone of the document."""
    documents.replace({"_id": "a", "_rev": documents.create({"_id": "a"}), "_deleted": True})


@pytest.mark.parametrize("script", [["lost before"], ["lost before"] * 20, ["lost after"], ["lost after"] * 3])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_lost_answer_is_resolved(documents: Database, script: list[str], is_new: bool) -> None:
    replaces = None if is_new else documents.create({"_id": "a"})
    item = losing(documents, *script)[0].store(write(replaces=replaces, n=1))
    assert (stored(documents)["_rev"], stored(documents)["n"]) == (item.revision, 1)


def test_a_write_that_had_arrived_is_proven_by_a_second_revision(documents: Database) -> None:
    writes, database = losing(documents, "lost after")
    assert writes.store(write()).revision.startswith("2-")
    assert database.sent == 3


def test_an_outcome_that_stays_unknown_is_unconfirmed(documents: Database) -> None:
    writes, database = losing(documents, *["lost before"] * (1 + confirmed_writes.MAX_RESENDS))
    with pytest.raises(Unconfirmed):
        writes.store(write())
    assert database.sent == 1 + confirmed_writes.MAX_RESENDS


def test_resending_leaves_time_for_the_rest_of_the_request(
    documents: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, database = losing(documents, *["lost before"] * 100)
    seconds_left = iter([8.0, 7.0, 4.0, 2.1, 1.9])
    monkeypatch.setattr(confirmed_writes, "remaining", lambda: next(seconds_left))
    assert isinstance(writes.store_many([write()])["a"], Unconfirmed)
    assert database.sent == 1 + 3
    assert next(seconds_left, None) is None


def test_a_write_that_may_have_arrived_is_unconfirmed_if_nothing_answers(documents: Database) -> None:
    with pytest.raises(Unconfirmed):
        losing(documents, "lost after", *["unreachable"] * 100)[0].store(write())
    assert stored(documents)["_rev"].startswith("1-")


def test_a_write_that_was_never_sent_is_unavailable(documents: Database) -> None:
    writes, database = losing(documents, "unreachable")
    with pytest.raises(Unavailable) as caught:
        writes.store(write())
    assert (type(caught.value), database.sent) == (Unavailable, 1)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_write_that_others_built_on_counts(documents: Database, is_new: bool) -> None:
    replaces = None if is_new else documents.create({"_id": "a"})
    item = losing(documents, "followed")[0].store(write(replaces=replaces, by="me"))
    assert item.revision.startswith("1-" if is_new else "2-")
    assert stored(documents)["by"] == "another"


def test_a_resurrection_is_deleted_with_a_tombstone_of_its_item(documents: Database) -> None:
    delete_first(documents)
    with pytest.raises(Conflict):
        losing(documents)[0].store(write(type="document", id=1, project_id=2, title="secret"))
    tombstone = documents.winners(["a"])["a"].document
    assert {name: value for name, value in tombstone.items() if name != "_rev"} == {
        "_id": "a", "_deleted": True, "type": "document", "id": 1, "project_id": 2
    }  # fmt: skip


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("script", [["lost before"], ["lost after"], ["pass", "unreachable"]])
def test_a_deleted_id_stays_deleted(documents: Database, script: list[str], many: bool) -> None:
    delete_first(documents)
    with pytest.raises(Conflict):
        store(losing(documents, *script)[0], write(), many=many)
    assert documents.get("a") is None


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("then", [[], ["lost after"], ["pass", "unreachable"]])
def test_a_creation_that_others_deleted_counts_and_stays_deleted(
    documents: Database, then: list[str], many: bool
) -> None:
    """The answer is lost and others delete the item. The resend resurrects it, and that answer may be lost too."""
    item = store(losing(documents, "deleted", *then)[0], write(), many=many)
    assert item.revision == documents.winners(["a"])["a"].lineage[-1]
    assert documents.get("a") is None


@pytest.mark.parametrize(("missed", "is_found"), [(1, True), (100, False)])
def test_a_read_from_a_lagging_node_does_not_make_a_write_lost(
    documents: Database, monkeypatch: pytest.MonkeyPatch, missed: int, is_found: bool
) -> None:
    writes, database = losing(documents, "lost after")
    looks = iter(range(missed))

    def lagging(doc_ids: list[str]) -> Any:
        return {} if next(looks, None) is not None else documents.winners(doc_ids)

    monkeypatch.setattr(database, "winners", lagging)
    if is_found:
        assert writes.store(write()).revision.startswith("2-")
    else:
        with pytest.raises(Unconfirmed):
            writes.store(write())


def test_a_revision_of_a_later_generation_was_not_replaced(documents: Database) -> None:
    documents.create({"_id": "a"})
    with pytest.raises(Conflict):
        losing(documents, "lost before")[0].store(write(replaces=f"7-{'a' * 32}"))


def test_many_unknown_outcomes_are_resolved_together(documents: Database) -> None:
    """Of forty, ten arrive, ten do not, ten are followed by others, and ten are superseded before they arrive."""
    revisions = {f"{n:02}": documents.create({"_id": f"{n:02}"}) for n in range(40)}
    requests: list[str] = []

    def is_changed_by_others(doc_id: str) -> bool:
        return doc_id >= "30" or "10" <= doc_id < "20"

    class Cut(Losing):
        def write_many(self, documents: list[dict[str, Any]]) -> dict[str, Outcome]:
            requests.append("write")
            if len(requests) > 1:
                return self._database.write_many(documents)
            arrived = self._database.write_many([each for each in documents if each["_id"] < "20"])
            for doc_id in filter(is_changed_by_others, revisions):
                self._database.replace({"_id": doc_id, "_rev": arrived.get(doc_id, revisions[doc_id]), "by": "another"})
            raise Unconfirmed

    writes = ConfirmedWrites(Cut(documents))  # type: ignore[arg-type]
    results = writes.store_many([write(doc_id, revision, by="me") for doc_id, revision in revisions.items()])
    outcomes = [each.revision[:2] if isinstance(each, StoredItem) else each.code for _, each in sorted(results.items())]
    assert outcomes == ["3-"] * 10 + ["2-"] * 20 + ["conflict"] * 10
    assert {doc_id: each["by"] for doc_id, each in documents.get_many(list(revisions)).items()} == {
        doc_id: "another" if is_changed_by_others(doc_id) else "me" for doc_id in revisions
    }
    assert requests == ["write"] * 3


@pytest.mark.parametrize("script", [["superseded"], ["lost before", "superseded"]])
def test_a_superseded_write_is_a_conflict(documents: Database, script: list[str]) -> None:
    first = documents.create({"_id": "a"})
    with pytest.raises(Conflict):
        losing(documents, *script)[0].store(write(replaces=first, by="me"))
    assert stored(documents)["by"] == "another"


@pytest.mark.parametrize("script", [[], ["lost before"], ["lost after"], ["lost after", "lost before"]])
def test_a_deletion_is_done_once_the_item_is_deleted(documents: Database, script: list[str]) -> None:
    first = documents.create({"_id": "a"})
    losing(documents, *script)[0].store(write(replaces=first, deletes=True))
    assert documents.get("a") is None


@pytest.mark.nodatabase
@pytest.mark.parametrize(
    ("text", "count", "requests"),
    [
        ("x" * 1_000_000, 8, 2),
        ("x" * 7_990, 1000, 3),
        ("\U0001f600" * 250_000, 8, 2),
        ('"' * 500_000, 8, 2),
        ("\x01" * 166_000, 8, 2),
    ],
    ids=["large", "many", "of many bytes", "of quotes", "of escaped characters"],
)
def test_no_request_is_larger_than_couchdb_accepts(
    text: str, count: int, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmed_writes, "MAX_RESENDS", 0)
    writes = [write(f"document:{n:016d}", content=text) for n in range(count)]
    with MisbehavingServer(answer(503, {"error": "busy", "reason": "busy"})) as server:
        database = Store(server.url, "p")
        results = ConfirmedWrites(database["documents"]).store_many(writes)
        database.close()
        bodies = [request.body for request in server.requests]
    assert all(isinstance(result, Unavailable) for result in results.values())
    sent = [each for body in bodies for each in json.loads(body)["docs"]]
    assert sorted(sent, key=lambda document: document["_id"]) == [each.document() for each in writes]
    assert [len(body) for body in bodies if len(body) >= 8_000_000] == []
    # There are no more requests than necessary.
    assert len(bodies) == requests


@pytest.mark.parametrize("script", [[], ["lost before"], ["lost after"], ["lost after"] * 3])
@pytest.mark.parametrize("many", [False, True])
def test_a_restored_item_stands_on_its_tombstone(documents: Database, script: list[str], many: bool) -> None:
    delete_first(documents)
    item = store(losing(documents, *script)[0], write(n=1, restored_from="1-a"), many=many)
    assert (stored(documents)["_rev"], stored(documents)["n"]) == (item.revision, 1)


def test_a_restoration_that_another_write_preceded_is_a_conflict(documents: Database) -> None:
    documents.create({"_id": "a", "n": 2})
    with pytest.raises(Conflict):
        losing(documents)[0].store(write(n=1, restored_from="1-a"))
    assert stored(documents)["n"] == 2

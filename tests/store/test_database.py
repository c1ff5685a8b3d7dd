"""Documents, ranges and views of a real database, read and written through the store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.couch.connection import Connection
from app.errors import Conflict, Unavailable
from app.store import Database, DocumentFailure, Revision, Row, Store, Winner
from tests.waiting import wait_until

VIEWS = {
    "views": {"by_number": {"map": "function (doc) { emit(doc.number, doc._rev); }", "reduce": "_count"}},
}


@pytest.fixture
def server(server_url: str) -> Iterator[Connection]:
    connection = Connection(server_url, timeout=30)
    yield connection
    connection.close()


@pytest.fixture
def store(server_url: str, prefix: str) -> Iterator[Store]:
    store = Store(server_url, prefix)
    yield store
    store.close()


@pytest.fixture
def documents(server: Connection, store: Store) -> Database:
    """An empty database with a validator, as every database of an installation has one."""
    database = store["documents"]
    server.put(database.name)
    validator = "function (doc) { if (doc.bad) { throw({forbidden: 'bad'}); } }"
    server.put(database.name, "_design", "validation", body={"validate_doc_update": validator})
    return database


@pytest.fixture
def numbered(documents: Database) -> dict[str, str]:
    """Revisions by `_id` of the documents n:0 to n:4."""
    return {f"n:{number}": documents.create({"_id": f"n:{number}", "number": number}) for number in range(5)}


@pytest.mark.parametrize("doc_id", ["document:1", "a/b", "ü ?#%&+", "1" * 200])
def test_a_document_is_read_as_it_was_written(documents: Database, doc_id: str) -> None:
    revision = documents.create({"_id": doc_id, "text": "ü\U0001f600\u2028", "n": 2**53 - 1, "x": [None, True, 1.5]})
    document = {"_id": doc_id, "_rev": revision, "text": "ü\U0001f600\u2028", "n": 2**53 - 1, "x": [None, True, 1.5]}
    assert documents.get(doc_id) == document
    assert documents.get_many([doc_id]) == {doc_id: document}


def test_a_taken_id_is_a_conflict(documents: Database) -> None:
    revision = documents.create({"_id": "a", "n": 1})
    with pytest.raises(Conflict):
        documents.create({"_id": "a", "n": 2})
    assert documents.get("a") == {"_id": "a", "_rev": revision, "n": 1}


def test_of_two_writers_of_a_revision_one_wins(documents: Database) -> None:
    first = documents.create({"_id": "a", "n": 1})
    second = documents.replace({"_id": "a", "_rev": first, "n": 2})
    with pytest.raises(Conflict):
        documents.replace({"_id": "a", "_rev": first, "n": 3})
    assert documents.get("a") == {"_id": "a", "_rev": second, "n": 2}


def test_a_revision_of_a_missing_document_is_a_conflict(documents: Database) -> None:
    with pytest.raises(Conflict):
        documents.replace({"_id": "a", "_rev": "1-0785e9eb543380151003dc452c3a001a"})
    assert documents.get("a") is None


def test_a_deleted_document_is_absent_and_can_be_created_again(documents: Database) -> None:
    first = documents.create({"_id": "a", "n": 1})
    documents.replace({"_id": "a", "_rev": first, "_deleted": True})
    assert documents.get("a") is None
    assert documents.get_many(["a", "never"]) == {}
    assert documents.ids("a", "b", limit=5) == []
    third = documents.create({"_id": "a", "n": 3})
    assert documents.get("a") == {"_id": "a", "_rev": third, "n": 3}


def test_a_document_refused_by_a_validator_is_unavailable_and_not_stored(documents: Database) -> None:
    with pytest.raises(Unavailable):
        documents.create({"_id": "a", "bad": True})
    assert documents.get("a") is None


def test_each_of_many_writes_has_its_own_outcome(documents: Database) -> None:
    """PouchDB Server lists the documents that its validator refuses first."""
    taken = documents.create({"_id": "taken", "n": 1})
    changed = documents.create({"_id": "changed", "n": 1})
    outcomes = documents.write_many(
        [
            {"_id": "new", "n": 2},
            {"_id": "bad", "bad": True},
            {"_id": "taken", "n": 2},
            {"_id": "changed", "_rev": changed, "n": 2},
            {"_id": "never", "_rev": "1-0785e9eb543380151003dc452c3a001a", "n": 2},
        ]
    )
    stored = documents.get_many(list(outcomes))
    assert list(outcomes) == ["new", "bad", "taken", "changed", "never"]
    assert {doc_id: document["n"] for doc_id, document in stored.items()} == {"new": 2, "taken": 1, "changed": 2}
    assert outcomes == {
        "new": stored["new"]["_rev"],
        "bad": DocumentFailure.FORBIDDEN,
        "taken": DocumentFailure.CONFLICT,
        "changed": stored["changed"]["_rev"],
        "never": DocumentFailure.CONFLICT,
    }
    assert stored["taken"]["_rev"] == taken


def test_many_writes_may_be_none_but_not_two_of_one_id(documents: Database) -> None:
    assert documents.write_many([]) == {}
    with pytest.raises(ValueError, match="the same _id"):
        documents.write_many([{"_id": "a"}, {"_id": "b"}, {"_id": "a"}])
    assert documents.get_many(["a", "b"]) == {}


def test_many_documents_are_read_by_their_ids(documents: Database, numbered: dict[str, str]) -> None:
    stored = documents.get_many(["n:3", "never", "n:1", "n:3"])
    assert {doc_id: document["_rev"] for doc_id, document in stored.items()} == {
        doc_id: numbered[doc_id] for doc_id in ("n:1", "n:3")
    }
    assert documents.get_many([]) == {}


def test_a_range_includes_both_ends(documents: Database, numbered: dict[str, str]) -> None:
    revisions = [Revision(doc_id, rev) for doc_id, rev in numbered.items()]
    assert documents.ids("n:1", "n:3", limit=10) == revisions[1:4]
    assert documents.ids("n:3", "n:1", limit=2, descending=True) == [revisions[3], revisions[2]]


def test_the_last_id_is_within_the_range(documents: Database, numbered: dict[str, str]) -> None:
    documents.create({"_id": "o:9"})
    assert documents.last_id("n:0", "n:9") == max(numbered)
    assert documents.last_id("n:0", "n:2") == "n:2"
    assert documents.last_id("m", "m:9") is None


def test_a_view_gives_rows(server: Connection, documents: Database, numbered: dict[str, str]) -> None:
    server.put(documents.name, "_design", "listing", body=VIEWS)
    rows = [Row(doc_id, int(doc_id[2:]), rev) for doc_id, rev in numbered.items()]
    # On a slow machine the index may take longer than the store waits.
    server.get(documents.name, "_design", "listing", "_view", "by_number")
    assert documents.view("listing", "by_number") == rows
    assert documents.view("listing", "by_number", descending=True) == rows[::-1]
    assert documents.view("listing", "by_number", startkey=1, endkey=3) == rows[1:4]
    assert documents.view("listing", "by_number", startkey=3, endkey=1, descending=True, limit=2) == [rows[3], rows[2]]
    assert documents.view("listing", "by_number", startkey=3) == rows[3:]
    assert documents.view("listing", "by_number", startkey=None, endkey=1) == rows[:2]
    assert documents.view("listing", "by_number", endkey=None) == []
    assert documents.view("listing", "by_number", keys=[4, 9, 0]) == [rows[4], rows[0]]
    assert documents.view("listing", "by_number", limit=0) == []


def test_a_stale_view_is_updated_afterwards(server: Connection, documents: Database, numbered: dict[str, str]) -> None:
    server.put(documents.name, "_design", "listing", body=VIEWS)
    rows = [Row(doc_id, int(doc_id[2:]), rev) for doc_id, rev in numbered.items()]
    # Each shard has its own index, so that any of the rows may be missing.
    stale = documents.view("listing", "by_number", startkey=1, limit=2, stale_ok=True)
    assert stale == [row for row in rows[1:] if row in stale]
    wait_until(lambda: documents.view("listing", "by_number", startkey=1, limit=2, stale_ok=True) == rows[1:3])


def test_a_view_that_is_missing_is_unavailable(documents: Database) -> None:
    with pytest.raises(Unavailable):
        documents.view("listing", "by_number")


def test_design_documents_are_read_by_name(documents: Database) -> None:
    documents.create({"_id": "a"})
    design_documents = documents.design_documents()
    assert list(design_documents) == ["validation"]
    assert design_documents["validation"]["_id"] == "_design/validation"


def test_a_probe_can_write_repeatedly(documents: Database, server: Connection) -> None:
    for _ in range(3):
        documents.probe_write("readiness")
    assert server.get(documents.name, "_local", "readiness").body["_id"] == "_local/readiness"
    assert documents.ids("", "z", limit=10) == [
        Revision("_design/validation", server.get(documents.name, "_design", "validation").body["_rev"])
    ]


def test_a_missing_database_is_unavailable_and_not_a_missing_document(store: Store) -> None:
    missing = store["documents"]
    for call in (
        lambda: missing.get("a"),
        lambda: missing.get_many(["a"]),
        lambda: missing.create({"_id": "a"}),
        lambda: missing.write_many([{"_id": "a"}]),
        lambda: missing.last_id("a", "b"),
        lambda: missing.design_documents(),
        lambda: missing.probe_write("a"),
    ):
        with pytest.raises(Unavailable):
            call()


def test_wrong_credentials_are_unavailable(documents: Database, server: Connection, prefix: str) -> None:
    stranger = Store(server.url.replace("://", "://stranger:wrong@"), prefix)
    for call in (lambda: stranger["documents"].get("a"), lambda: stranger["documents"].create({"_id": "a"})):
        with pytest.raises(Unavailable):
            call()
    stranger.close()
    assert documents.get("a") is None


def test_revisions_are_read_if_they_are_not_compacted(documents: Database) -> None:
    first = documents.create({"_id": "a", "n": 1})
    second = documents.replace({"_id": "a", "_rev": first, "n": 2})
    gone = documents.create({"_id": "b", "n": 1})
    tombstone = documents.replace({"_id": "b", "_rev": gone, "_deleted": True, "n": 2})
    assert documents.winners(["a", "b", "never"]) == {
        "a": Winner([second, first], {"_id": "a", "_rev": second, "n": 2}),
        "b": Winner([tombstone, gone], {"_id": "b", "_rev": tombstone, "_deleted": True, "n": 2}),
    }
    revision_ids = [("b", gone), ("a", first), ("a", "1-0785e9eb543380151003dc452c3a001a"), ("never", first)]
    assert sorted(documents.revisions(revision_ids), key=lambda each: str(each["_id"])) == [
        {"_id": "a", "_rev": first, "n": 1},
        {"_id": "b", "_rev": gone, "n": 1},
    ]
    assert documents.winners([]) == {}
    assert documents.revisions([]) == []


def test_the_latest_changes_come_with_their_documents(documents: Database, numbered: dict[str, str]) -> None:
    documents.replace({"_id": "n:0", "_rev": numbered["n:0"], "number": 9})
    numbers = {row.item.doc_id: row.item.fields["number"] for row in documents.latest_changes()}
    assert numbers == {"n:0": 9, "n:1": 1, "n:2": 2, "n:3": 3, "n:4": 4}

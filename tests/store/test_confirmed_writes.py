"""Writes whose answer is lost, before or after they were stored, once or for good."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.couch.connection import Connection
from app.errors import Conflict, Unavailable, Unconfirmed
from app.store import Database, DocumentFailure, Outcome, Store
from app.store import confirmed_writes as writes
from app.store.confirmed_writes import ConfirmedWrites

REFUSE_ALL = "(newDoc, oldDoc) => {}"


class Losing:
    """A database of which answers are lost as ``script`` says: a step for each write, of what happens around it."""

    def __init__(self, documents: Database, *script: str) -> None:
        self._database, self._script = documents, list(script)
        self.leaves, self.revisions = documents.leaves, documents.revisions
        self.sent = 0

    def create(self, document: dict[str, Any]) -> str:
        """Store a document, or lose it on the way."""
        return self._write(document)

    def replace(self, document: dict[str, Any]) -> str:
        """Store a revision, or lose it on the way."""
        return self._write(document)

    def write_many(self, documents: list[dict[str, Any]]) -> dict[str, Outcome]:
        """Store documents, or lose them on the way."""
        return {document["_id"]: self._outcome(document) for document in documents}

    def _outcome(self, document: dict[str, Any]) -> Outcome:
        try:
            return self._write(document)
        except Conflict:
            return DocumentFailure.CONFLICT
        except Unconfirmed:
            return DocumentFailure.UNKNOWN

    def _write(self, document: dict[str, Any]) -> str:
        step = self._script.pop(0) if self._script else "pass"
        self.sent += 1
        if step == "overtaken":
            found = self._database.get(document["_id"])
            assert found is not None
            self._database.replace({**found, "by": "another"})
        if step == "lost before":
            raise Unconfirmed
        if step == "unreachable":
            raise Unavailable
        revision = self._database.replace(document)
        if step == "deleted":
            self._database.replace({"_id": document["_id"], "_rev": revision, "_deleted": True})
        if step == "followed":
            self._database.replace({"_id": document["_id"], "_rev": revision, "by": "another"})
        if step in ("lost after", "followed", "deleted"):
            raise Unconfirmed
        return revision


@pytest.fixture
def documents(server_url: str, prefix: str) -> Iterator[Database]:
    """A database with a validator, without which CouchDB takes any revision for a new document."""
    connection = Connection(server_url)
    connection.put(f"{prefix}-documents")
    connection.put(f"{prefix}-documents", "_design", "all", body={"validate_doc_update": REFUSE_ALL})
    connection.close()
    store = Store(server_url, prefix)
    yield store["documents"]
    store.close()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "LONGEST_PAUSE", 0.0)


def losing(documents: Database, *script: str) -> tuple[ConfirmedWrites, Losing]:
    """Return writes to ``database`` through a losing one."""
    found = Losing(documents, *script)
    return ConfirmedWrites(found), found  # type: ignore[arg-type]


def stored(documents: Database) -> dict[str, Any]:
    """Return the one document."""
    found = documents.get("a")
    assert found is not None
    return found


@pytest.mark.parametrize("script", [["lost before"], ["lost before"] * 20, ["lost after"], ["lost after"] * 3])
@pytest.mark.parametrize("new", [True, False])
def test_a_lost_answer_is_found_again(documents: Database, script: list[str], new: bool) -> None:
    head = {"_id": "a"} if new else {"_id": "a", "_rev": documents.create({"_id": "a"})}
    through, _ = losing(documents, *script)
    revision = through.store({**head, "n": 1})
    assert (stored(documents)["_rev"], stored(documents)["n"]) == (revision, 1)


def test_a_write_that_had_arrived_is_stored_once_more_for_certain(documents: Database) -> None:
    """Whoever stored it may have been alone with it."""
    through, found = losing(documents, "lost after")
    assert through.store({"_id": "a"}).startswith("2-")
    assert found.sent == 3


def test_what_cannot_be_found_out_is_not_called_a_failure(documents: Database) -> None:
    through, found = losing(documents, *["lost before"] * (1 + writes.LOOKS))
    with pytest.raises(Unconfirmed):
        through.store({"_id": "a"})
    assert found.sent == 1 + writes.LOOKS
    assert documents.get("a") is None


def test_a_request_that_looks_for_a_lost_write_keeps_time_for_what_comes_after(
    documents: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    through, found = losing(documents, *["lost before"] * 100)
    # Seconds that the request has left: at first, and before each further look.
    left = iter([8.0, 7.0, 4.0, 2.1, 1.9])
    monkeypatch.setattr(writes, "remaining", lambda: next(left))
    result = through.store_many([{"_id": "a", "nonce": "0" * 32}])["a"]
    assert isinstance(result, Unconfirmed)
    assert found.sent == 1 + 3
    assert next(left, None) is None


def test_what_may_have_arrived_is_not_denied(documents: Database) -> None:
    """The first answer is lost, and then nothing comes through any more."""
    through, _ = losing(documents, "lost after", *["unreachable"] * 100)
    with pytest.raises(Unconfirmed):
        through.store({"_id": "a"})
    assert stored(documents)["_rev"].startswith("1-")


def test_what_was_never_sent_is_called_so(documents: Database) -> None:
    through, found = losing(documents, "unreachable")
    with pytest.raises(Unavailable) as caught:
        through.store({"_id": "a"})
    assert (type(caught.value), found.sent) == (Unavailable, 1)


def test_a_write_that_others_went_on_from_counts(documents: Database) -> None:
    first = documents.create({"_id": "a"})
    through, _ = losing(documents, "followed")
    revision = through.store({"_id": "a", "_rev": first, "by": "me"})
    assert revision.startswith("2-")
    assert (stored(documents)["by"], stored(documents)["_rev"][:2]) == ("another", "3-")


def test_a_creation_that_others_went_on_from_counts(documents: Database) -> None:
    through, _ = losing(documents, "followed")
    assert through.store({"_id": "a"}).startswith("1-")


def test_a_creation_that_others_deleted_counts_and_is_not_repeated(documents: Database) -> None:
    through, _ = losing(documents, "deleted")
    assert through.store({"_id": "a", "type": "thing", "id": 1}).startswith("1-")
    assert documents.get("a") is None


def test_what_takes_back_a_revival_tells_what_it_was(documents: Database) -> None:
    first = documents.create({"_id": "a"})
    documents.replace({"_id": "a", "_rev": first, "_deleted": True})
    through, _ = losing(documents)
    with pytest.raises(Conflict):
        through.store({"_id": "a", "type": "document", "id": 1, "project_id": 2, "title": "secret"})
    tombstone = documents.leaves(["a"])["a"].document
    assert {name: value for name, value in tombstone.items() if name != "_rev"} == {
        "_id": "a", "_deleted": True, "type": "document", "id": 1, "project_id": 2
    }  # fmt: skip


@pytest.mark.parametrize("many", [False, True])
def test_a_revival_that_could_not_be_taken_back_is_taken_back_later(documents: Database, many: bool) -> None:
    first = documents.create({"_id": "a"})
    documents.replace({"_id": "a", "_rev": first, "_deleted": True})
    through, _ = losing(documents, "pass", "unreachable")
    if many:
        assert isinstance(through.store_many([{"_id": "a", "nonce": "0" * 32}])["a"], Conflict)
    else:
        with pytest.raises(Conflict):
            through.store({"_id": "a"})
    assert documents.get("a") is None


@pytest.mark.parametrize("missed", [1, 100])
def test_what_a_read_misses_was_not_lost_for_that(
    documents: Database, monkeypatch: pytest.MonkeyPatch, missed: int
) -> None:
    """It is refused because it is there, and a node that lags behind does not know of it."""
    through, found = losing(documents, "lost after")
    looks = iter(range(missed))

    def lagging(doc_ids: list[str]) -> Any:
        return {} if next(looks, None) is not None else documents.leaves(doc_ids)

    monkeypatch.setattr(found, "leaves", lagging)
    if missed == 1:
        assert through.store({"_id": "a"}).startswith("2-")
    else:
        with pytest.raises(Unconfirmed):
            through.store({"_id": "a"})


def test_a_revision_that_is_yet_to_come_was_not_replaced(documents: Database) -> None:
    documents.create({"_id": "a"})
    through, _ = losing(documents, "lost before")
    with pytest.raises(Conflict):
        through.store({"_id": "a", "_rev": f"7-{'a' * 32}"})


def test_what_many_lost_writes_came_to_is_found_out_together(documents: Database) -> None:
    """Of forty, ten arrive, ten do not, ten are followed by others, and ten are overtaken before they arrive."""
    revisions = {f"{n:02}": documents.create({"_id": f"{n:02}"}) for n in range(40)}
    mine = [{"_id": key, "_rev": revisions[key], "nonce": "0" * 32, "by": "me"} for key in revisions]
    requests: list[str] = []

    class Cut(Losing):
        def write_many(self, documents: list[dict[str, Any]]) -> dict[str, Outcome]:
            requests.append("write")
            if len(requests) > 1:
                return self._database.write_many(documents)
            arrived = self._database.write_many([each for each in documents if each["_id"] < "20"])
            for key, base in revisions.items():
                if key >= "30" or "10" <= key < "20":
                    self._database.replace({"_id": key, "_rev": arrived.get(key, base), "by": "another"})
            raise Unconfirmed

    found = ConfirmedWrites(Cut(documents)).store_many(mine)  # type: ignore[arg-type]
    assert all(isinstance(found[key], Conflict) for key in sorted(found)[30:])
    assert [str(found[key])[:2] for key in sorted(found)[:30]] == ["3-"] * 10 + ["2-"] * 20
    assert {key: found["by"] for key, found in documents.get_many(list(revisions)).items()} == {
        key: "another" if key >= "30" or "10" <= key < "20" else "me" for key in revisions
    }
    assert requests == ["write"] * 3


@pytest.mark.parametrize("script", [["overtaken"], ["lost before", "overtaken"]])
def test_a_write_that_was_overtaken_is_a_conflict(documents: Database, script: list[str]) -> None:
    first = documents.create({"_id": "a"})
    through, _ = losing(documents, *script)
    with pytest.raises(Conflict):
        through.store({"_id": "a", "_rev": first, "by": "me"})
    assert stored(documents)["by"] == "another"


@pytest.mark.parametrize("script", [[], ["lost before"], ["lost after"], ["lost after", "lost before"]])
def test_a_deletion_is_done_when_it_is_gone(documents: Database, script: list[str]) -> None:
    first = documents.create({"_id": "a"})
    through, _ = losing(documents, *script)
    through.store({"_id": "a", "_rev": first, "_deleted": True})
    assert documents.get("a") is None


@pytest.mark.parametrize("script", [[], ["lost before"], ["lost after"]])
def test_nothing_is_made_anew_where_something_was_deleted(documents: Database, script: list[str]) -> None:
    first = documents.create({"_id": "a"})
    documents.replace({"_id": "a", "_rev": first, "_deleted": True})
    through, _ = losing(documents, *script)
    with pytest.raises(Conflict):
        through.store({"_id": "a"})
    assert documents.get("a") is None


@pytest.mark.parametrize("then", [["lost after"], ["pass", "unreachable"]])
@pytest.mark.parametrize("many", [False, True])
def test_what_others_deleted_stays_deleted_where_its_creation_is_sent_again(
    documents: Database, then: list[str], many: bool
) -> None:
    """The answer is lost, others delete it, and sent again it comes to life; that answer or its burial is lost too."""
    through, _ = losing(documents, "deleted", *then)
    document = {"_id": "a", "nonce": "0" * 32}
    result = through.store_many([document])["a"] if many else through.store(document, "0" * 32)
    assert result == documents.leaves(["a"])["a"].lineage[-1]
    assert documents.get("a") is None

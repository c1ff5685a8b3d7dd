"""Each writer of a group gets the outcome of its own document, also when the group fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app.couch.connection import Connection
from app.errors import Conflict, Unavailable, Unconfirmed
from app.store import DocumentFailure, Store
from app.store.exchange import Outcome
from tests.store.group_commit.writers import LIMIT, Answers, Held, one_in_flight, writers


def outcomes_of(answers: Answers, *doc_ids: str) -> list[str | type[BaseException]]:
    """Return the outcome or error of each writer of a group."""
    with one_in_flight(answers) as (database, threads):
        waiting = [threads.wait(doc_id) for doc_id in doc_ids]
        database.let_go(20)
        errors = [one.exception(LIMIT) for one in waiting]
        assert threads.write("last").result(LIMIT) == "1-last alone"
        return [type(error) if error else one.result() for one, error in zip(waiting, errors, strict=True)]


@pytest.mark.nodatabase
def test_each_writer_gets_the_outcome_of_its_document() -> None:
    outcomes: dict[str, Outcome] = {
        "stored": "1-x",
        "conflict": DocumentFailure.CONFLICT,
        "unknown": DocumentFailure.UNKNOWN,
        "refused": DocumentFailure.FORBIDDEN,
    }
    assert outcomes_of(lambda _: outcomes, *outcomes) == ["1-x", Conflict, Unconfirmed, "1-refused alone"]


def failing(error: BaseException) -> Answers:
    """Return invalid answers."""

    def answers(_: object) -> dict[str, Outcome]:
        raise error

    return answers


@pytest.mark.nodatabase
def test_a_group_without_an_answer_is_unconfirmed_for_all() -> None:
    assert outcomes_of(failing(Unconfirmed()), *"abc") == [Unconfirmed] * 3


@pytest.mark.nodatabase
def test_a_group_refused_as_a_whole_is_sent_one_by_one() -> None:
    """One invalid document must not fail the others."""
    assert outcomes_of(failing(Unavailable()), *"abc") == ["1-a alone", "1-b alone", "1-c alone"]


@pytest.mark.nodatabase
def test_a_bug_fails_the_leader_and_leaves_no_writer_waiting() -> None:
    assert sorted(map(str, outcomes_of(failing(KeyError()), *"abc"))) == [str(KeyError)] + [str(Unconfirmed)] * 2


@pytest.mark.nodatabase
def test_after_a_failure_of_the_first_write_the_others_continue() -> None:
    database = Held()
    database.create = failing(Unavailable())  # type: ignore[assignment, method-assign]
    with writers(database) as threads:
        for doc_id in "ab":
            with pytest.raises(Unavailable):
                threads.write(doc_id).result(LIMIT)


@pytest.mark.nodatabase
def test_a_writer_at_its_deadline_in_a_group_is_unconfirmed_and_the_others_continue() -> None:
    """The writer with the latest deadline sends the group."""
    with one_in_flight() as (database, threads):
        short, long = threads.wait("b"), threads.wait("c", seconds=1000)
        caller = threads.group._waiting["b"]
        database.let_go()
        assert database.next() == ("many", "b", "c")
        # Its deadline has passed.
        caller.deadline = 0.0
        caller.messages.put(None)  # type: ignore[arg-type]
        with pytest.raises(Unconfirmed):
            short.result(LIMIT)
        database.let_go()
        assert long.result(LIMIT) == "1-c"
    assert database.left[0]
    assert database.left[0] > 500


class HeldFirst:
    """A real database whose first write is held until the others wait."""

    def __init__(self, inner: Any) -> None:
        self.create, self.write_many = inner.create, inner.write_many
        self._inner, self.begun, self.go = inner, threading.Event(), threading.Event()

    def replace(self, document: Mapping[str, Any]) -> str:
        self.begun.set()
        assert self.go.wait(LIMIT)
        revision: str = self._inner.replace(document)
        return revision


@pytest.fixture
def store(server_url: str, prefix: str) -> Iterator[Store]:
    connection = Connection(server_url, timeout=30)
    connection.put(f"{prefix}-documents")
    connection.close()
    store = Store(server_url, prefix)
    yield store
    store.close()


def test_every_document_of_many_writers_is_stored(store: Store) -> None:
    documents = store["documents"]
    held = HeldFirst(documents)
    with writers(held) as threads:
        first = threads.write("first", _rev=documents.create({"_id": "first"}))
        assert held.begun.wait(LIMIT)
        taken = documents.create({"_id": "taken"})
        waiting = {doc_id: threads.wait(doc_id, name=doc_id) for doc_id in ("taken", *"abcdefgh")}
        held.go.set()
        with pytest.raises(Conflict):
            waiting.pop("taken").result(LIMIT)
        revisions = {doc_id: future.result(LIMIT) for doc_id, future in waiting.items()}
        assert first.result(LIMIT).startswith("2-")
    stored = documents.get_many([*revisions, "taken"])
    assert stored.pop("taken") == {"_id": "taken", "_rev": taken}
    assert {key: (one["_rev"], one["name"]) for key, one in stored.items()} == {
        doc_id: (revision, doc_id) for doc_id, revision in revisions.items()
    }


def test_of_many_writers_of_one_revision_one_wins(store: Store) -> None:
    documents = store["documents"]
    revision = documents.create({"_id": "a"})
    for _ in range(20):
        with writers(documents) as threads:
            futures = [threads.write("a", _rev=revision, n=n) for n in range(8)]
        won = [one.result() for one in futures if not one.exception()]
        assert {type(one.exception()) for one in futures if one.exception()} == {Conflict}
        [revision] = won
        winner = next(n for n, one in enumerate(futures) if not one.exception())
        assert documents.get("a") == {"_id": "a", "_rev": revision, "n": winner}

"""Group commit: single and grouped writes, and the outcome of each document for its own writer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest

from app.couch.connection import Connection
from app.errors import Conflict, Unavailable, Unconfirmed
from app.local_couchdb.process import poll
from app.request_context import remaining, request_context
from app.store import DocumentFailure, GroupCommit, Store, group_commit
from app.store.exchange import Outcome
from tests.clock import ManualClock

LIMIT = 60

Answers = Callable[[Sequence[Mapping[str, Any]]], dict[str, Outcome]]


def store_all(documents: Sequence[Mapping[str, Any]]) -> dict[str, Outcome]:
    """Answer as if each document were stored."""
    return {document["_id"]: f"1-{document['_id']}" for document in documents}


class Held:
    """A database that holds every request until released, and answers groups by ``answers``."""

    def __init__(self, answers: Answers = store_all) -> None:
        self._answers = answers
        self.requests: SimpleQueue[tuple[str, ...]] = SimpleQueue()
        self.left: list[float | None] = []
        self._turns = threading.Semaphore(0)

    def create(self, document: Mapping[str, Any]) -> str:
        self._hold("create", document)
        return f"1-{document['_id']} alone"

    def replace(self, document: Mapping[str, Any]) -> str:
        self._hold("replace", document)
        return f"2-{document['_id']} alone"

    def write_many(self, documents: Sequence[Mapping[str, Any]]) -> dict[str, Outcome]:
        self.left.append(remaining())
        self._hold("many", *documents)
        return self._answers(documents)

    def _hold(self, what: str, *documents: Mapping[str, Any]) -> None:
        self.requests.put((what, *(document["_id"] for document in documents)))
        assert self._turns.acquire(timeout=LIMIT)

    def let_go(self, count: int = 1) -> None:
        """Release ``count`` requests, present or future."""
        self._turns.release(count)

    def next(self) -> tuple[str, ...]:
        """Wait for the next request, and return its method and documents."""
        return self.requests.get(timeout=LIMIT)


class Writers:
    """Threads that write through one group commit."""

    def __init__(self, database: Any, pool: ThreadPoolExecutor) -> None:
        self.group, self._pool = GroupCommit(database), pool

    def write(self, doc_id: str, *, seconds: float = LIMIT, **fields: object) -> Future[str]:
        """Start a write in a request with a deadline in ``seconds``."""

        def work() -> str:
            document = {"_id": doc_id, **fields}
            with request_context(request_id=doc_id, seconds=seconds):
                return self.group.write(document)

        return self._pool.submit(work)

    def wait(self, doc_id: str, **options: Any) -> Future[str]:
        """Start a write, and return when its document waits for the next group."""
        future = self.write(doc_id, **options)
        assert poll(lambda: doc_id in self.group._waiting, LIMIT)
        return future


@contextmanager
def writers(database: Any) -> Iterator[Writers]:
    with ThreadPoolExecutor(20) as pool:
        yield Writers(database, pool)


@contextmanager
def one_in_flight(answers: Answers = store_all) -> Iterator[tuple[Held, Writers]]:
    """Return a database that holds the write of "a", and the threads for more writes."""
    database = Held(answers)
    with writers(database) as threads:
        threads.write("a")
        database.next()
        yield database, threads


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MAX_WAIT_SECONDS", float(LIMIT))


@pytest.mark.nodatabase
def test_a_single_write_is_sent_at_once() -> None:
    database = Held()
    database.let_go(2)
    with writers(database) as threads:
        assert threads.write("a").result(LIMIT) == "1-a alone"
        assert threads.write("b", _rev="1-b").result(LIMIT) == "2-b alone"
    assert (database.next(), database.next()) == (("create", "a"), ("replace", "b"))


@pytest.mark.nodatabase
def test_writes_that_wait_are_sent_together_in_order() -> None:
    database = Held()
    with writers(database) as threads:
        first = threads.write("a")
        assert database.next() == ("create", "a")
        waiting = [threads.wait(doc_id) for doc_id in "cbd"]
        database.let_go()
        assert first.result(LIMIT) == "1-a alone"
        assert database.next() == ("many", "c", "b", "d")
        later = [threads.wait(doc_id) for doc_id in "fe"]
        database.let_go()
        assert [future.result(LIMIT) for future in waiting] == ["1-c", "1-b", "1-d"]
        assert database.next() == ("many", "f", "e")
        database.let_go(2)
        assert [future.result(LIMIT) for future in later] == ["1-f", "1-e"]
        assert threads.write("g").result(LIMIT) == "1-g alone"


@pytest.mark.nodatabase
def test_a_group_waits_until_it_is_as_large_as_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    monkeypatch.setattr(group_commit, "time", SimpleNamespace(monotonic=clock))
    with one_in_flight() as (database, threads):
        for doc_id in "bcd":
            threads.wait(doc_id)
        database.let_go()
        assert database.next() == ("many", "b", "c", "d")
        threads.wait("e")
        # The next group may wait as long as this request takes.
        clock.now += LIMIT - 1
        database.let_go()
        threads.write("f")
        threads.write("g")
        request = database.next()
        assert (request[0], set(request[1:])) == ("many", {"e", "f", "g"})
        database.let_go()


@pytest.mark.nodatabase
def test_a_writer_that_waits_for_others_does_not_go_alone() -> None:
    with one_in_flight() as (database, threads):
        waiting = threads.wait("b")
        threads.group._gatherer = writer = threads.group._waiting["b"]
        assert not threads.group._leave(writer)
        database.let_go(2)
        assert waiting.result(LIMIT) == "1-b"


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
def test_a_second_write_to_the_same_document_goes_alone() -> None:
    with one_in_flight() as (database, threads):
        threads.wait("b", n=1)
        threads.write("b", n=2)
        assert database.next() == ("create", "b")
        database.let_go(3)
        assert database.next() == ("many", "b")


@pytest.mark.nodatabase
def test_a_document_too_large_for_a_group_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six bytes are counted for a character, the most that it takes, and sixty-four for a member."""
    monkeypatch.setattr(group_commit, "MAX_GROUP_BYTES", 1600)
    with one_in_flight() as (database, threads):
        threads.wait("b", text="x" * 100)
        threads.write("c", text="x" * 140)
        assert database.next() == ("create", "c")
        threads.wait("d", text="x" * 100)
        database.let_go(3)
        assert database.next() == ("many", "b", "d")


@pytest.mark.nodatabase
def test_a_writer_that_has_waited_long_enough_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MAX_WAIT_SECONDS", 0.01)
    with one_in_flight() as (database, threads):
        threads.write("b")
        assert database.next() == ("create", "b")
        database.let_go(2)


@pytest.mark.nodatabase
def test_a_writer_at_its_deadline_stops_waiting() -> None:
    """Alone, it meets its deadline before anything is sent."""
    with one_in_flight() as (database, threads):
        threads.write("b", seconds=0.05)
        assert database.next() == ("create", "b")
        assert database.requests.empty()
        database.let_go(2)


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

"""Writes that go alone, and writes that wait and are sent together."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.store import group_commit
from tests.clock import ManualClock
from tests.store.group_commit.writers import LIMIT, Held, one_in_flight, writers


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

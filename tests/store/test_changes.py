"""A follower tells every change, and says when it may have missed some; whatever the database does, it comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from queue import Queue
from typing import Any, cast

import pytest

from app.errors import Unavailable
from app.store import Database, Follower, Store
from app.store import changes as changes_module
from tests.couch.misbehaving_server import Behaviour, MisbehavingServer, Turn, answer, hang, reply, reset
from tests.waiting import wait_until

pytestmark = pytest.mark.nodatabase

PULSE, SILENCE = 0.02, 0.3


class Told:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def caught_up(self) -> None:
        self.events.append("caught up")

    def changed(self, doc_ids: Iterable[str], /) -> None:
        self.events.append(list(doc_ids))

    def lost(self) -> None:
        self.events.append("lost")


class Feed:
    """A database whose changes come when the test says so, or fail."""

    name = "a feed"

    def __init__(self) -> None:
        self.coming: Queue[list[str] | Exception] = Queue()
        self.asked: list[object] = []
        self.beginnings = 0

    def sequence(self) -> object:
        self.beginnings += 1
        return f"{self.beginnings}-0"

    def await_changes(self, since: object, _: float, wanted: Callable[[], bool]) -> tuple[list[str], object]:
        self.asked.append(since)
        found = self.coming.get()
        wanted()
        if isinstance(found, Exception):
            raise found
        return found, f"{since}+{len(found)}"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("PAUSE", 0.0), ("REST", 0.0), ("SILENCE", SILENCE)):
        monkeypatch.setattr(changes_module, name, seconds)


@pytest.fixture
def told() -> Told:
    return Told()


def follow(database: Any, told: Told) -> Follower:
    follower = Follower(cast(Database, database), told)
    follower.start()
    follower.start()
    return follower


def test_changes_are_told_from_where_it_began_on(told: Told) -> None:
    feed = Feed()
    follower = follow(feed, told)
    feed.coming.put(["a", "b"])
    feed.coming.put(["c"])
    wait_until(lambda: len(feed.asked) == 3)
    assert told.events == ["caught up", ["a", "b"], ["c"]]
    assert feed.asked == ["1-0", "1-0+2", "1-0+2+1"]
    assert follower.is_live
    assert follower.tally.counts() == {"changes": 3, "losses": 0}
    follower.close()
    feed.coming.put(["late"])


def test_nothing_is_told_after_the_end(told: Told) -> None:
    feed = Feed()
    follower = follow(feed, told)
    wait_until(lambda: feed.asked)
    follower.close()
    feed.coming.put(["late"])
    wait_until(lambda: "follower of a feed" not in {thread.name for thread in threading.enumerate()})
    assert ["late"] not in told.events
    assert told.events[-1] == "lost"
    follower.start()
    assert feed.beginnings == 1


@pytest.mark.parametrize("failure", [Unavailable(), KeyError("a bug")])
def test_a_lost_feed_is_said_to_be_lost_and_begun_anew(told: Told, failure: Exception) -> None:
    feed = Feed()
    follower = follow(feed, told)
    feed.coming.put(["a"])
    feed.coming.put(failure)
    feed.coming.put(["b"])
    wait_until(lambda: len(feed.asked) == 4)
    assert told.events == ["caught up", ["a"], "lost", "caught up", ["b"]]
    assert feed.asked == ["1-0", "1-0+1", "2-0", "2-0+1"]
    assert follower.tally.counts() == {"changes": 2, "losses": 1}
    follower.close()
    feed.coming.put(["late"])


def beats(count: int, end: bytes) -> Behaviour:
    """Answer as a long-poll does: a sign of life now and then, and in the end what it was asked for."""

    def behave(turn: Turn) -> bool:
        turn.sock.sendall(reply(200).replace(b"Content-Length: 0", f"Content-Length: {count + len(end)}".encode()))
        for _ in range(count):
            if turn.ending.wait(PULSE):
                return False
            turn.sock.sendall(b"\n")
        turn.sock.sendall(end)
        return True

    return behave


@pytest.fixture
def followed(told: Told) -> Iterator[Callable[..., MisbehavingServer]]:
    """Follow a server with these behaviours."""
    servers: list[tuple[MisbehavingServer, Store, Follower]] = []

    def start(*behaviours: Behaviour) -> MisbehavingServer:
        server = MisbehavingServer(*behaviours)
        store = Store(f"http://user:secret@{server.host}", "p")
        servers.append((server, store, follow(store["documents"], told)))
        return server

    yield start
    for server, store, follower in servers:
        follower.close()
        server.__exit__(None, None, None)
        store.close()


BEGUN = answer(200, {"update_seq": "7-x"})
CHANGE = b'{"results": [{"seq": "8-x", "id": "a", "changes": [{"rev": "1-a"}]}], "last_seq": "8-x"}'


def test_signs_of_life_keep_it_waiting_for_as_long_as_it_takes(
    told: Told, followed: Callable[..., MisbehavingServer]
) -> None:
    """All of them together take longer than any one may."""
    server = followed(BEGUN, beats(int(2 * SILENCE / PULSE), CHANGE), hang)
    wait_until(lambda: ["a"] in told.events)
    assert told.events[:2] == ["caught up", ["a"]]
    asked = server.requests[1].target
    assert asked.startswith("/p-documents/_changes?")
    assert {"feed=longpoll", "heartbeat=1000", "since=7-x"} <= set(asked.partition("?")[2].split("&"))


@pytest.mark.parametrize("behaviour", [hang, beats(3, b""), reset, answer(500), answer(200, {"results": []})])
def test_a_feed_that_falls_silent_or_fails_is_lost(
    told: Told, followed: Callable[..., MisbehavingServer], behaviour: Behaviour
) -> None:
    followed(BEGUN, behaviour, behaviour, BEGUN, hang)
    wait_until(lambda: "lost" in told.events)
    assert told.events[:2] == ["caught up", "lost"]

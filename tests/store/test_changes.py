"""A follower reports every change, reports a lost feed, and opens it again after every kind of failure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from queue import Queue
from typing import Any, cast

import pytest

from app.errors import Unavailable
from app.metric_definitions import FEED_CHANGES, FEED_LAG, FEED_LIVE, FEED_LOSSES
from app.metrics import Metrics
from app.store import Database, Follower, Store
from app.store import changes as changes_module
from app.store.database import MAX_CHANGES, MAX_DOCUMENTS
from app.store.feed import FeedPart, FeedRow
from app.store.items import StoredItem
from tests.clock import ManualClock
from tests.couch.misbehaving_server import CERTIFICATE, Behaviour, MisbehavingServer, Turn, answer, hang, reply, reset
from tests.samples import value
from tests.waiting import wait_until

pytestmark = pytest.mark.nodatabase

PULSE_SECONDS, IDLE_SECONDS = 0.02, 0.3


class Recorder:
    """A listener that records its calls."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def caught_up(self) -> None:
        self.events.append("caught up")

    def changed(self, doc_ids: Iterable[str], /) -> None:
        self.events.append(list(doc_ids))

    def lost(self) -> None:
        self.events.append("lost")


def part(doc_ids: list[str], sequence: str, *, is_last: bool = True) -> FeedPart:
    """Return a response of the feed."""
    rows = (FeedRow(StoredItem(doc_id, "1-a", {}), sequence) for doc_id in doc_ids)
    return FeedPart(tuple(rows), sequence, is_last)


class Feed:
    """A database whose changes and failures the test controls."""

    name = "a feed"

    def __init__(self) -> None:
        self.pending: Queue[list[str] | Exception] = Queue()
        self.positions: list[object] = []
        self.starts = 0
        self.with_documents: list[bool] = []
        self.reads: list[object] = []

    def has_been_asked(self, times: int) -> bool:
        return len(self.positions) == times

    def present_place(self) -> object:
        self.starts += 1
        return f"{self.starts}-0"

    def await_changes(
        self, since: object, _: float, is_needed: Callable[[], bool], *, with_documents: bool = False
    ) -> FeedPart:
        self.with_documents.append(with_documents)
        self.positions.append(since)
        changes = self.pending.get()
        is_needed()
        if isinstance(changes, Exception):
            raise changes
        limit = MAX_DOCUMENTS if with_documents else MAX_CHANGES
        return part(changes, f"{since}+{len(changes)}", is_last=len(changes) < limit)

    def read_changes(self, since: object) -> FeedPart:
        self.reads.append(since)
        return part(["read"], f"{since}+read")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("PAUSE_SECONDS", 0.0), ("RETRY_SECONDS", 0.0), ("IDLE_SECONDS", IDLE_SECONDS)):
        monkeypatch.setattr(changes_module, name, seconds)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def follow(database: Any, recorder: Recorder, metrics: Metrics | None = None) -> Follower:
    follower = Follower(cast(Database, database), recorder, metrics or Metrics(), "items")
    follower.start()
    follower.start()
    return follower


def test_changes_are_reported_from_the_start_of_the_feed(recorder: Recorder) -> None:
    feed, metrics = Feed(), Metrics()
    follower = follow(feed, recorder, metrics)
    feed.pending.put(["a", "b"])
    feed.pending.put(["c"])
    wait_until(lambda: len(feed.positions) == 3)
    assert recorder.events == ["caught up", ["a", "b"], ["c"]]
    assert feed.positions == ["1-0", "1-0+2", "1-0+2+1"]
    assert follower.is_live
    assert value(metrics, FEED_CHANGES, "items") == 3
    assert value(metrics, FEED_LOSSES, "items") == 0
    follower.close()
    feed.pending.put(["late"])


class Audience:
    """Clients that wait while ``is_awaited``, and a record of the calls."""

    is_awaited = False

    def __init__(self) -> None:
        self.events: list[object] = []

    def opened(self, place: int | str, /) -> None:
        self.events.append(f"opened {place}")

    def received(self, received: FeedPart, /) -> None:
        self.events.append([row.item.doc_id for row in received.rows])

    def skipped(self, place: int | str, /) -> None:
        self.events.append(f"skipped {place}")

    def lost(self) -> None:
        self.events.append("lost")


def test_documents_are_read_while_clients_wait(recorder: Recorder) -> None:
    """Changes that came without them, since nobody waited when they were asked for, are read again."""
    feed, audience = Feed(), Audience()
    follower = Follower(cast(Database, feed), recorder, Metrics(), "items", audience=audience)
    follower.start()
    feed.pending.put(["a"])
    wait_until(partial(feed.has_been_asked, 2))
    audience.is_awaited = True
    feed.pending.put(["b"])
    wait_until(partial(feed.has_been_asked, 3))
    feed.pending.put(["c"])
    wait_until(partial(feed.has_been_asked, 4))
    assert audience.events == ["opened 1-0", "skipped 1-0+1", ["read"], ["c"]]
    assert recorder.events == ["caught up", ["a"], ["read"], ["c"]]
    assert feed.with_documents == [False, False, True, True]
    assert feed.positions[1:3] == ["1-0+1", "1-0+1+read"]
    feed.pending.put(Unavailable())
    wait_until(partial(feed.has_been_asked, 5))
    assert audience.events[-2:] == ["lost", "opened 2-0"]
    follower.close()
    feed.pending.put(["late"])


def lag(follower: Follower, metrics: Metrics) -> float:
    """Return the lag that the follower reports now."""
    follower.report_state()
    metrics.report_process()
    return value(metrics, FEED_LAG, "items", "0")


def test_a_feed_lags_until_a_response_has_room_for_more_changes(
    recorder: Recorder,
) -> None:
    feed, metrics, clock = Feed(), Metrics(), ManualClock()
    follower = Follower(cast(Database, feed), recorder, metrics, "items", clock)
    clock.now += 100
    assert lag(follower, metrics) == 0
    follower.start()
    for full_responses in range(3):
        wait_until(partial(feed.has_been_asked, 1 + full_responses))
        clock.now += 0.75
        feed.pending.put(["a"] * MAX_CHANGES)
    wait_until(lambda: len(feed.positions) == 4)
    assert lag(follower, metrics) == 2.25
    feed.pending.put(["a"] * (MAX_CHANGES - 1))
    wait_until(lambda: len(feed.positions) == 5)
    assert lag(follower, metrics) == 0
    clock.now += 2
    feed.pending.put([])
    wait_until(lambda: len(feed.positions) == 6)
    assert lag(follower, metrics) == 0
    assert value(metrics, FEED_LIVE, "items", "0") == 1
    follower.close()
    feed.pending.put(["late"])


def test_places_of_the_last_seconds_are_remembered(recorder: Recorder) -> None:
    feed, clock = Feed(), ManualClock()
    follower = Follower(cast(Database, feed), recorder, Metrics(), "items", clock)
    follower.start()
    for seconds, requests in ((4, 1), (3, 2)):
        wait_until(partial(feed.has_been_asked, requests))
        clock.now += seconds
        feed.pending.put(["a"])
    wait_until(partial(feed.has_been_asked, 3))
    assert [follower.older_place(seconds) for seconds in (0, 2, 3, 6, 7, 8)] == [
        "1-0+1+1",
        "1-0+1",
        "1-0+1",
        "1-0",
        "1-0",
        None,
    ]
    feed.pending.put(Unavailable())
    wait_until(partial(feed.has_been_asked, 4))
    assert follower.older_place(0) == "2-0"
    assert follower.older_place(1) is None
    follower.close()
    feed.pending.put(["late"])


def test_nothing_is_reported_after_the_end(recorder: Recorder) -> None:
    feed = Feed()
    follower = follow(feed, recorder)
    wait_until(lambda: feed.positions)
    follower.close()
    feed.pending.put(["late"])
    wait_until(lambda: "follower of a feed" not in {thread.name for thread in threading.enumerate()})
    assert ["late"] not in recorder.events
    assert recorder.events[-1] == "lost"
    follower.start()
    assert feed.starts == 1


@pytest.mark.parametrize("failure", [Unavailable(), KeyError("a bug")])
def test_a_lost_feed_is_reported_and_opened_again(recorder: Recorder, failure: Exception) -> None:
    feed, metrics = Feed(), Metrics()
    follower = follow(feed, recorder, metrics)
    feed.pending.put(["a"])
    feed.pending.put(failure)
    feed.pending.put(["b"])
    wait_until(lambda: len(feed.positions) == 4)
    assert recorder.events == ["caught up", ["a"], "lost", "caught up", ["b"]]
    assert feed.positions == ["1-0", "1-0+1", "2-0", "2-0+1"]
    assert value(metrics, FEED_CHANGES, "items") == 2
    assert value(metrics, FEED_LOSSES, "items") == 1
    follower.close()
    feed.pending.put(["late"])


def test_a_database_that_was_made_again_is_a_lost_feed(recorder: Recorder) -> None:
    feed, identities = Feed(), ["old"]
    follower = Follower(cast(Database, feed), recorder, Metrics(), "items", identity=lambda: identities[-1])
    follower.start()
    feed.pending.put(["a"])
    wait_until(partial(feed.has_been_asked, 2))
    identities.append("new")
    feed.pending.put([])
    wait_until(partial(feed.has_been_asked, 3))
    assert recorder.events == ["caught up", ["a"], "lost", "caught up"]
    assert feed.positions == ["1-0", "1-0+1", "2-0"]
    follower.close()
    feed.pending.put(["late"])


def beats(count: int, end: bytes) -> Behaviour:
    """Answer like a long-poll: some heartbeats, and then the result."""

    def behave(turn: Turn) -> bool:
        turn.sock.sendall(reply(200).replace(b"Content-Length: 0", f"Content-Length: {count + len(end)}".encode()))
        for _ in range(count):
            if turn.ending.wait(PULSE_SECONDS):
                return False
            turn.sock.sendall(b"\n")
        turn.sock.sendall(end)
        return True

    return behave


@pytest.fixture
def followed(recorder: Recorder) -> Iterator[Callable[..., MisbehavingServer]]:
    """Follow a server with the given behaviours."""
    servers: list[tuple[MisbehavingServer, Store, Follower]] = []

    def start(*behaviours: Behaviour) -> MisbehavingServer:
        server = MisbehavingServer(*behaviours)
        store = Store(f"http://user:secret@{server.host}", "p")
        servers.append((server, store, follow(store["documents"], recorder)))
        return server

    yield start
    for server, store, follower in servers:
        follower.close()
        store.close()
        server.__exit__(None, None, None)
        follower.join()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_the_end_does_not_wait_for_a_heartbeat(recorder: Recorder, tls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes_module, "IDLE_SECONDS", 60.0)
    monkeypatch.setattr(changes_module, "JOIN_SECONDS", 30.0)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with MisbehavingServer(STARTED, hang, tls=tls) as server:
        store = Store(server.url, "p")
        follower = follow(store["documents"], recorder)
        wait_until(lambda: len(server.requests) == 2)
        follower.close()
        store.close()
        follower.join()
        assert f"follower of {store['documents'].name}" not in {thread.name for thread in threading.enumerate()}
    assert len(server.requests) == 2


STARTED = answer(200, {"results": [], "last_seq": "7-x"})
CHANGE = b'{"results": [{"seq": "8-x", "id": "a", "changes": [{"rev": "1-a"}]}], "last_seq": "8-x"}'


def test_heartbeats_keep_a_feed_open(recorder: Recorder, followed: Callable[..., MisbehavingServer]) -> None:
    """Together they take longer than the idle limit. A feed that a busy machine lets be silent is opened again."""
    feed = STARTED, beats(int(2 * IDLE_SECONDS / PULSE_SECONDS), CHANGE)
    server = followed(*feed * 100, hang)
    wait_until(lambda: ["a"] in recorder.events)
    before = recorder.events[: recorder.events.index(["a"])]
    assert before == ["caught up", *["lost", "caught up"] * (len(before) // 2)]
    target = server.requests[1].target
    assert target.startswith("/p-documents/_changes?")
    assert {"feed=longpoll", "heartbeat=1000", "since=7-x"} <= set(target.partition("?")[2].split("&"))


@pytest.mark.parametrize("behaviour", [hang, beats(3, b""), reset, answer(500), answer(200, {"results": []})])
def test_a_feed_that_is_silent_or_fails_is_lost(
    recorder: Recorder, followed: Callable[..., MisbehavingServer], behaviour: Behaviour
) -> None:
    followed(STARTED, behaviour, behaviour, STARTED, hang)
    wait_until(lambda: "lost" in recorder.events)
    assert recorder.events[:2] == ["caught up", "lost"]

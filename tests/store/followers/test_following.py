"""A follower reports every change of a feed, its lag, its recent places and its loss."""

from __future__ import annotations

import threading
from functools import partial
from typing import cast

import pytest

from app.errors import Unavailable
from app.metric_definitions import FEED_CHANGES, FEED_LAG, FEED_LIVE, FEED_LOSSES
from app.metrics import Metrics
from app.store import Database, Follower
from app.store.database import MAX_CHANGES
from app.store.feed import FeedPart
from tests.clock import ManualClock
from tests.samples import value
from tests.store.followers.feeds import Feed, Recorder, follow
from tests.waiting import wait_until

pytestmark = pytest.mark.nodatabase


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

    def received(self, received: FeedPart, _seconds: float, /) -> None:
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

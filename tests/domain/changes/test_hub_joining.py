"""A client joins the hub only where it misses no change."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from app.domain.changes.departures import LEFT
from app.domain.resources import DOCUMENT, PROJECT
from app.errors import Unavailable
from app.store.feed import FeedRow
from tests.domain.changes.hub_clients import AWAY, HOME, Feeds, departure, row

pytestmark = pytest.mark.nodatabase


def test_departures_that_could_not_be_read_are_read_for_the_next_client(feeds: Feeds) -> None:
    entries = [departure(HOME, 2)]

    def fail() -> list[FeedRow]:
        raise Unavailable

    with pytest.raises(Unavailable):
        feeds.hubs[DOCUMENT].prime(fail)
    feeds.recent = [row(1, 1, AWAY, generation=2, **{LEFT: entries})]
    client = feeds.client(HOME)
    feeds.report(row(1, 2, AWAY, generation=3, **{LEFT: entries}))
    assert client.wakes == 0


def test_no_client_joins_while_changes_are_skipped(feeds: Feeds) -> None:
    """Departures that another client notes later could be new to it."""
    hub = feeds.hubs[DOCUMENT]

    def recent_changes() -> list[FeedRow]:
        hub.skipped(5)
        return []

    hub.prime(recent_changes)
    assert hub.position() is None
    hub.prime(list)
    assert hub.position() is not None


def test_no_client_joins_while_the_departures_before_the_first_one_are_read(feeds: Feeds) -> None:
    """It could read the feed before a departure that is then taken for one that it has read."""
    hub, others = feeds.hubs[DOCUMENT], list[Future[None]]()
    with ThreadPoolExecutor(1) as pool:

        def recent_changes() -> list[FeedRow]:
            others.append(pool.submit(hub.prime, list))
            assert not wait(others, timeout=0.02).done
            return []

        hub.prime(recent_changes)
        others[0].result()


def test_no_client_joins_a_feed_that_is_lost(feeds: Feeds) -> None:
    feeds.hubs[PROJECT].lost()
    assert not feeds.client().has_joined
    feeds.hubs[PROJECT].opened(0)
    assert feeds.client().has_joined


def test_a_client_of_a_cluster_joins_where_every_copy_has_arrived(feeds: Feeds) -> None:
    assert not feeds.client(lag_seconds=5).has_joined
    feeds.client()
    feeds.clock.now += 3
    feeds.report(row(1, 1))
    feeds.clock.now += 3
    feeds.report(row(2, 2))
    late = feeds.client(lag_seconds=5)
    assert late.take().changes == (b"d1", b"d2")
    assert feeds.client(lag_seconds=2).take().changes == (b"d2",)

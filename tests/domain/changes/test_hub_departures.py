"""Clients of the hub take a departure from their project once, and no later edit."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.changes.departures import LEFT
from app.domain.resources import DOCUMENT
from app.store.feed import FeedRow
from app.store.items import StoredItem
from tests.domain.changes.hub_clients import AWAY, HOME, Feeds, departure, row

pytestmark = pytest.mark.nodatabase


def test_a_limited_client_sees_a_document_enter_and_leave_and_no_later_edit(feeds: Feeds) -> None:
    client = feeds.client(HOME)
    feeds.report(row(1, 1, HOME))
    entries = [departure(HOME, 2)]
    feeds.report(row(1, 2, AWAY, generation=2, **{LEFT: entries}))
    assert client.take().changes == (b"d1", b"-d1")
    assert client.wakes == 2
    for generation in range(3, 10):
        feeds.report(row(1, generation, AWAY, generation=generation, **{LEFT: entries}))
    feeds.report(row(1, 10, AWAY, generation=10, deleted=True, **{LEFT: entries}))
    assert client.wakes == 2
    assert client.take().changes == ()


def test_a_departure_that_an_edit_follows_at_once_is_seen(feeds: Feeds) -> None:
    """The feed shows the latest revision only, and a proof of a write may raise the generation."""
    client = feeds.client(HOME)
    feeds.report(row(1, 2, AWAY, generation=3, **{LEFT: [departure(HOME, 2)]}))
    assert client.take().changes == (b"-d1",)
    feeds.report(row(1, 3, AWAY, generation=7, **{LEFT: [departure(HOME, 6)]}))
    assert client.take().changes == (b"-d1",)


def test_a_departure_shortly_before_the_first_client_is_no_change(feeds: Feeds) -> None:
    entries = [departure(HOME, 2)]
    feeds.recent = [row(1, 1, AWAY, generation=2, **{LEFT: entries})]
    client = feeds.client(HOME)
    feeds.report(row(1, 2, AWAY, generation=3, **{LEFT: entries}))
    assert client.wakes == 0


def test_a_departure_is_seen_however_late_it_is_reported(feeds: Feeds) -> None:
    """The machine sleeps between the departure and its report."""
    client = feeds.client(HOME)
    feeds.now += timedelta(hours=1)
    feeds.report(row(1, 1, AWAY, generation=2, **{LEFT: [departure(HOME, 2)]}))
    assert client.take().changes == (b"-d1",)


def test_a_departure_follows_a_state_from_before_it(feeds: Feeds) -> None:
    """The first client has read the departure, but the hub still reports the document as it was before."""
    move = row(1, 6, AWAY, generation=2, **{LEFT: [departure(HOME, 2)]})
    feeds.recent = [move]
    client = feeds.client(HOME)
    client.note_read(7)
    feeds.report(row(1, 5, HOME))
    feeds.report(move)
    assert client.take().changes == (b"d1", b"-d1")


def test_a_bare_tombstone_is_a_removal_from_its_last_project(feeds: Feeds) -> None:
    home, away = feeds.client(HOME), feeds.client(AWAY)
    feeds.report(FeedRow(StoredItem(DOCUMENT.doc_id(1), "2-a", {}, is_deleted=True), 1))
    assert (home.take().changes, away.wakes) == ((b"-d1",), 0)

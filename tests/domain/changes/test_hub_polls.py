"""Clients of the hub take the changes that may be later than their poll, also if the hub is behind the poll."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.changes import hub as hub_module
from app.domain.resources import stamp
from tests.domain.changes.hub_clients import AWAY, HOME, NOW, Feeds, row

pytestmark = pytest.mark.nodatabase


def test_changes_up_to_the_place_of_a_poll_are_skipped(feeds: Feeds) -> None:
    client = feeds.client()
    feeds.report(row(5, 5), row(6, "6-x"))
    client.note_read("6-x")
    feeds.report(row(7, "7-x"))
    assert client.take().changes == (b"d7",)


@pytest.mark.parametrize("is_before", [True, False], ids=["before the poll", "after it"])
def test_a_change_in_one_shard_is_not_skipped_for_a_poll_that_is_ahead_in_another(
    feeds: Feeds, *, is_before: bool
) -> None:
    """The place 15 is 15 in one shard and 0 in the other, while the client has read 10 in each of them."""
    client = feeds.client()
    if is_before:
        feeds.report(row(1, "15-ahead"))
    client.note_read("20-even")
    if not is_before:
        feeds.report(row(1, "15-ahead"))
    assert client.wakes == 1
    assert client.take().changes == (b"d1",)


def test_a_state_from_before_the_poll_is_followed_by_the_change_that_the_poll_has_shown(feeds: Feeds) -> None:
    """The hub reads the document, it is deleted, the client polls, and only then the hub reports it."""
    client = feeds.client()
    client.note_read(6)
    feeds.report(row(1, 5))
    assert client.take().changes == (b"d1",)
    feeds.report(row(1, 6, deleted=True))
    assert client.take().changes == (b"-d1",)


def test_a_portion_that_may_be_older_than_the_poll_has_an_earlier_checkpoint(feeds: Feeds) -> None:
    client = feeds.client()
    feeds.report(row(1, 4))
    client.take()
    feeds.now += timedelta(minutes=1)
    client.note_read(7)
    feeds.report(row(1, 5), row(2, 6))
    feeds.report(row(1, 7, deleted=True))
    portion = client.take()
    assert portion.changes == (b"d1", b"d2", b"-d1")
    assert portion.earlier is not None
    assert portion.earlier.places["document"].sequence == 4
    assert portion.earlier.time == stamp(NOW - hub_module.REPORT_DELAY)
    feeds.report(row(3, 8))
    assert client.take().earlier is None


def test_a_hidden_change_from_before_the_poll_does_not_bring_the_client_up_to_date(feeds: Feeds) -> None:
    client = feeds.client(HOME)
    client.note_read(7)
    feeds.report(row(1, 5, AWAY))
    feeds.report(row(2, 6, HOME), row(3, 8, HOME))
    earlier = client.take().earlier
    assert earlier is not None
    assert earlier.places["document"].sequence == 5


@pytest.mark.parametrize("place", [0, 5], ids=["caught up at once", "caught up after a hidden change"])
def test_a_portion_that_follows_the_poll_has_no_earlier_checkpoint(feeds: Feeds, place: int) -> None:
    client = feeds.client(HOME)
    client.note_read(place)
    if place:
        feeds.report(row(1, place, AWAY))
    feeds.report(row(2, 6, HOME), row(3, 7, HOME))
    assert client.take().earlier is None

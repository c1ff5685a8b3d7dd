"""Clients take the changes that they see from the hub: values, portions, times and marks of conflicts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.changes import hub as hub_module
from app.domain.changes.visibility import Shown, visible
from app.domain.resources import DOCUMENT, PROJECT, stamp
from app.store.feed import FeedPart, FeedRow
from tests.domain.changes.hub_clients import AWAY, HOME, NOW, Feeds, project_row, row

pytestmark = pytest.mark.nodatabase


def test_projects_come_before_documents(feeds: Feeds) -> None:
    client = feeds.client()
    feeds.report(row(1, 1, HOME))
    feeds.report(project_row(HOME, 1), resource_type=PROJECT)
    assert client.take().changes == (b"p10", b"d1")


def test_values_are_only_for_clients_that_ask_for_them(feeds: Feeds) -> None:
    with_values, without = feeds.client(with_values=True), feeds.client()
    feeds.report(row(1, 1), row(2, 2, deleted=True))
    assert with_values.take().changes == (b'd1{"id":1,"title":"x"}', b"-d2")
    assert without.take().changes == (b"d1", b"-d2")


def test_clients_with_the_same_view_share_the_work(feeds: Feeds, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []

    def counted(*arguments: Any, **options: Any) -> Shown | None:
        looked_at.append(arguments[1].doc_id)
        return visible(*arguments, **options)

    monkeypatch.setattr("app.domain.changes.batch.visible", counted)
    clients = [feeds.client(HOME) for _ in range(10)]
    feeds.report(row(1, 1, HOME), row(2, 2, AWAY))
    assert [client.take().changes for client in clients] == [(b"d1",)] * 10
    assert len(looked_at) == 2


def test_the_same_change_is_rendered_for_each_kind_of_answer(feeds: Feeds) -> None:
    stream, long_poll = feeds.client(), feeds.client()
    feeds.report(row(1, 1))
    answer = long_poll.subscription.take(long_poll.checkpoint, lambda change: b"another")
    assert answer is not None
    assert answer.changes == (b"another",)
    assert stream.take().changes == (b"d1",)


def test_the_time_of_a_client_stays_while_the_feed_is_behind(feeds: Feeds) -> None:
    """A removal after that time may still have to come."""
    client = feeds.client()
    feeds.now += timedelta(minutes=1)
    feeds.report(row(1, 1), is_last=False)
    assert client.take().checkpoint.time == stamp(NOW - hub_module.REPORT_DELAY)
    feeds.report(row(2, 2))
    assert client.take().checkpoint.time == stamp(feeds.now - hub_module.REPORT_DELAY)


def test_the_time_of_a_client_is_not_after_the_request_of_the_changes(feeds: Feeds) -> None:
    """The database was busy, and what happened meanwhile is not among them."""
    client = feeds.client()
    feeds.hubs[DOCUMENT].received(FeedPart((row(1, 1),), 1, is_last=True), 30.0)
    assert client.take().checkpoint.time == stamp(NOW - timedelta(seconds=30))


def test_the_time_of_a_client_stays_recent_after_a_long_wait_for_a_change(feeds: Feeds) -> None:
    """A place that is older than 30 days could not be continued."""
    client = feeds.client()
    feeds.hubs[DOCUMENT].received(FeedPart((row(1, 1),), 1, is_last=True), timedelta(days=31).total_seconds())
    assert client.take().checkpoint.time == stamp(NOW - timedelta(minutes=1))


def test_large_batches_are_taken_in_portions(feeds: Feeds) -> None:
    client = feeds.client(with_values=True)
    feeds.report(*(row(number, number, content="x" * 200_000) for number in range(1, 6)))
    sizes = []
    while changes := client.take().changes:
        sizes.append(len(changes))
    assert sizes == [2, 2, 1]


def conflicted(public_id: int, sequence: int, other: str) -> FeedRow:
    """Return a row of a document with another live leaf."""
    change = row(public_id, sequence)
    return replace(change, item=replace(change.item, conflicts=(other,)))


def test_conflicts_are_marked_unless_they_are_merged(feeds: Feeds) -> None:
    client, feeds.merges = feeds.client(), {"1-m"}
    feeds.report(row(1, 1), conflicted(2, 2, "1-c"), conflicted(3, 3, "1-m"))
    assert client.take().changes == (b"d1", b"!d2", b"d3")


@pytest.mark.parametrize("merges", [set(), None], ids=["too many", "unknown"])
def test_clients_read_conflicts_that_the_hub_cannot_look_at(feeds: Feeds, merges: set[str] | None) -> None:
    client, feeds.merges = feeds.client(), merges
    count = 1 if merges is None else hub_module.MAX_INCOMPLETE + 1
    feeds.report(*(conflicted(number, number, "1-c") for number in range(1, count + 1)))
    assert client.wakes == 1
    assert client.subscription.is_behind

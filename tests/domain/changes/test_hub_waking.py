"""The hub wakes exactly the clients that see a change or have to read."""

from __future__ import annotations

import pytest

from app.domain.changes import hub as hub_module
from app.domain.changes.cursor import Place
from app.domain.resources import DOCUMENT
from tests.domain.changes.hub_clients import AWAY, HOME, Feeds, render, row

pytestmark = pytest.mark.nodatabase


def test_a_change_wakes_a_client_which_takes_it_once(feeds: Feeds) -> None:
    client = feeds.client()
    feeds.report(row(1, 5), row(2, 6))
    assert client.wakes == 1
    portion = client.take()
    assert portion.changes == (b"d1", b"d2")
    assert portion.checkpoint.places["document"] == Place("identity", 6)
    assert portion.checkpoint.places["project"] == Place("identity", 0)
    assert client.take().changes == ()


def test_writes_to_hidden_documents_wake_no_limited_client(feeds: Feeds) -> None:
    limited, unlimited = feeds.client(HOME), feeds.client()
    for number in range(1, 1001):
        feeds.report(row(number, number, AWAY))
    assert (limited.wakes, unlimited.wakes) == (0, 1000)
    portion = limited.take()
    assert portion.changes == ()
    assert portion.checkpoint.places["document"].sequence == 1000


@pytest.mark.parametrize("loss", ["lost", "skipped"])
def test_missed_changes_wake_all_clients_which_have_to_read(feeds: Feeds, loss: str) -> None:
    client = feeds.client(HOME)
    getattr(feeds.hubs[DOCUMENT], loss)()
    assert client.wakes == 1
    assert client.subscription.is_behind
    assert client.subscription.take(client.checkpoint, render) is None


def test_a_client_that_falls_behind_has_to_read(feeds: Feeds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_BATCHES", 3)
    slow, idle = feeds.client(), feeds.client(HOME)
    for number in range(1, 6):
        feeds.report(row(number, number, AWAY))
    assert slow.subscription.is_behind
    assert not idle.subscription.is_behind
    feeds.report(row(9, 9, HOME))
    assert idle.take().changes == (b"d9",)


def test_the_feed_is_awaited_while_clients_wait_and_a_minute_longer(feeds: Feeds) -> None:
    feeds.clock.now = 1000.0
    hub = feeds.hubs[DOCUMENT]
    assert not hub.is_awaited
    client = feeds.client()
    feeds.clock.now += 3600
    assert hub.is_awaited
    client.subscription.close()
    feeds.clock.now += 59
    assert hub.is_awaited
    feeds.clock.now += 2
    assert not hub.is_awaited


def test_a_watcher_is_woken_at_once_by_a_change_that_it_has_missed(feeds: Feeds) -> None:
    client = feeds.client()
    client.subscription.close()
    client.subscription.join(0.0)
    feeds.report(row(1, 1))
    client.subscription.watch(client._wake)
    assert client.wakes == 1


def test_a_client_skips_hidden_changes_from_its_joining_on(feeds: Feeds, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of a long-poll, which takes nothing while it waits, is a recent one at its end."""
    monkeypatch.setattr(hub_module, "MAX_BATCHES", 3)
    client = feeds.client(HOME)
    client.subscription.close()
    client.subscription.join(0.0)
    feeds.report(row(1, 5, AWAY))
    feeds.report(row(2, 6, HOME))
    client.note_read(6)
    client.subscription.watch(client._wake)
    for number in range(7, 12):
        feeds.report(row(1, number, AWAY))
    assert client.wakes == 0
    assert client.take().checkpoint.places["document"].sequence == 11

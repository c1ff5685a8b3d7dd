"""The hub wakes exactly the clients that see a change, and lets them take each change once."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.access import Access, reach
from app.domain.changes import hub as hub_module
from app.domain.changes.cursor import Checkpoint, Place
from app.domain.changes.departures import LEFT
from app.domain.changes.hub import Hub
from app.domain.changes.subscription import Channel, Portion, Subscription
from app.domain.changes.visibility import Shown, View, visible
from app.domain.resources import DOCUMENT, PROJECT, ResourceType, stamp
from app.errors import Unavailable
from app.store.feed import FeedPart, FeedRow
from app.store.items import StoredItem
from tests.clock import ManualClock

pytestmark = pytest.mark.nodatabase

HOME, AWAY = 10, 11
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def row(public_id: int, sequence: int | str, project: int | None = None, **members: Any) -> FeedRow:
    """Return a row of a document; ``generation``, ``left`` and ``deleted`` may be set."""
    generation, deleted = members.pop("generation", 1), members.pop("deleted", False)
    fields = {"id": public_id, "title": "x", "updated_at": stamp(NOW), **members}
    if project is not None:
        fields["project_id"] = project
    return FeedRow(StoredItem(DOCUMENT.doc_id(public_id), f"{generation}-a", fields, deleted), sequence)


def project_row(public_id: int, sequence: int) -> FeedRow:
    fields = {"id": public_id, "name": "x"}
    return FeedRow(StoredItem(PROJECT.doc_id(public_id), "1-a", fields), sequence)


def departure(project: int, generation: int) -> dict[str, Any]:
    return {"project": project, "generation": generation, "at": stamp(NOW)}


class Feeds:
    """The hubs of both types, and rows that are read when the first client joins."""

    def __init__(self) -> None:
        self.clock, self.now = ManualClock(), NOW
        self.hubs = {
            each: Hub(each, "secret", lambda: self.now, self.clock, self.complete) for each in (PROJECT, DOCUMENT)
        }
        # Conflicts that are to be merged; None if that is not known.
        self.merges: set[str] | None = set()
        self.recent: list[FeedRow] = []
        self.starts = 0
        for hub in self.hubs.values():
            hub.opened(0)

    def start(self) -> None:
        self.starts += 1

    def complete(self, item: StoredItem) -> StoredItem:
        if self.merges is None:
            raise Unavailable
        if item.is_deleted and not item.fields:
            return replace(item, fields={LEFT: [departure(HOME, 2)]})
        return replace(item, conflicts=()) if self.merges.intersection(item.conflicts) else item

    def report(self, *rows: FeedRow, resource_type: ResourceType = DOCUMENT, is_last: bool = True) -> None:
        self.hubs[resource_type].received(FeedPart(rows, rows[-1].sequence, is_last))

    def client(self, *projects: int, **options: Any) -> Client:
        return Client(self, *projects, **options)


class Client:
    """A client that has joined, with a key limited to ``projects`` if there are any."""

    def __init__(self, feeds: Feeds, *projects: int, with_values: bool = False, lag_seconds: float = 0.0) -> None:
        access = Access(1, "p", frozenset(), reach=reach(projects or None, None))
        channels = {each: Channel(hub, feeds.start, lambda: feeds.recent) for each, hub in feeds.hubs.items()}
        self.wakes = 0
        self.subscription = Subscription(channels, View(access), with_values=with_values)
        self.has_joined = self.subscription.join(lag_seconds)
        places = {each.name: Place("identity", 0) for each in feeds.hubs}
        self.checkpoint = Checkpoint(0, "scope", stamp(NOW), places)
        self.subscription.watch(self._wake)

    def _wake(self) -> None:
        self.wakes += 1

    def has_read(self, sequence: int | str) -> None:
        """Note that the client has read the feed of documents up to ``sequence``."""
        place = Place("identity", sequence)
        self.checkpoint = replace(self.checkpoint, places={**self.checkpoint.places, "document": place})
        self.subscription.has_read(self.checkpoint)

    def take(self) -> Portion:
        portion = self.subscription.take(self.checkpoint, render)
        assert portion is not None
        self.checkpoint = portion.checkpoint
        return portion


def render(change: Shown) -> bytes:
    deleted = "-" if change.is_deleted else "!" if change.is_conflicted else ""
    return f"{deleted}{change.resource_type.name[0]}{change.public_id}{(change.value or b'').decode()}".encode()


@pytest.fixture
def feeds() -> Feeds:
    return Feeds()


def test_a_change_wakes_a_client_which_takes_it_once(feeds: Feeds) -> None:
    client = feeds.client()
    feeds.report(row(1, 5), row(2, 6))
    assert client.wakes == 1
    portion = client.take()
    assert portion.changes == (b"d1", b"d2")
    assert portion.checkpoint.places["document"] == Place("identity", 6)
    assert portion.checkpoint.places["project"] == Place("identity", 0)
    assert client.take().changes == ()


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


def test_writes_to_hidden_documents_wake_no_limited_client(feeds: Feeds) -> None:
    limited, unlimited = feeds.client(HOME), feeds.client()
    for number in range(1, 1001):
        feeds.report(row(number, number, AWAY))
    assert (limited.wakes, unlimited.wakes) == (0, 1000)
    portion = limited.take()
    assert portion.changes == ()
    assert portion.checkpoint.places["document"].sequence == 1000


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
    client.has_read(7)
    feeds.report(row(1, 5, HOME))
    feeds.report(move)
    assert client.take().changes == (b"d1", b"-d1")


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


@pytest.mark.parametrize("loss", ["lost", "skipped"])
def test_missed_changes_wake_all_clients_which_have_to_read(feeds: Feeds, loss: str) -> None:
    client = feeds.client(HOME)
    getattr(feeds.hubs[DOCUMENT], loss)()
    assert client.wakes == 1
    assert client.subscription.is_behind
    assert client.subscription.take(client.checkpoint, render) is None


def test_no_client_joins_a_feed_that_is_lost(feeds: Feeds) -> None:
    feeds.hubs[PROJECT].lost()
    assert not feeds.client().has_joined
    feeds.hubs[PROJECT].opened(0)
    assert feeds.client().has_joined


def test_a_client_that_falls_behind_has_to_read(feeds: Feeds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_BATCHES", 3)
    slow, idle = feeds.client(), feeds.client(HOME)
    for number in range(1, 6):
        feeds.report(row(number, number, AWAY))
    assert slow.subscription.is_behind
    assert not idle.subscription.is_behind
    feeds.report(row(9, 9, HOME))
    assert idle.take().changes == (b"d9",)


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


def test_changes_up_to_the_place_of_a_poll_are_skipped(feeds: Feeds) -> None:
    client = feeds.client()
    feeds.report(row(5, 5), row(6, "6-x"))
    client.has_read("6-x")
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
    client.has_read("20-even")
    if not is_before:
        feeds.report(row(1, "15-ahead"))
    assert client.wakes == 1
    assert client.take().changes == (b"d1",)


def test_a_state_from_before_the_poll_is_followed_by_the_change_that_the_poll_has_shown(feeds: Feeds) -> None:
    """The hub reads the document, it is deleted, the client polls, and only then the hub reports it."""
    client = feeds.client()
    client.has_read(6)
    feeds.report(row(1, 5))
    assert client.take().changes == (b"d1",)
    feeds.report(row(1, 6, deleted=True))
    assert client.take().changes == (b"-d1",)


def test_a_portion_that_may_be_older_than_the_poll_has_an_earlier_checkpoint(feeds: Feeds) -> None:
    client = feeds.client()
    feeds.report(row(1, 4))
    client.take()
    feeds.now += timedelta(minutes=1)
    client.has_read(7)
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
    client.has_read(7)
    feeds.report(row(1, 5, AWAY))
    feeds.report(row(2, 6, HOME), row(3, 8, HOME))
    earlier = client.take().earlier
    assert earlier is not None
    assert earlier.places["document"].sequence == 5


@pytest.mark.parametrize("place", [0, 5], ids=["level at once", "level after a hidden change"])
def test_a_portion_that_follows_the_poll_has_no_earlier_checkpoint(feeds: Feeds, place: int) -> None:
    client = feeds.client(HOME)
    client.has_read(place)
    if place:
        feeds.report(row(1, place, AWAY))
    feeds.report(row(2, 6, HOME), row(3, 7, HOME))
    assert client.take().earlier is None


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


def test_large_batches_are_taken_in_portions(feeds: Feeds) -> None:
    client = feeds.client(with_values=True)
    feeds.report(*(row(number, number, content="x" * 200_000) for number in range(1, 6)))
    sizes = []
    while changes := client.take().changes:
        sizes.append(len(changes))
    assert sizes == [2, 2, 1]


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


def test_a_client_skips_what_it_does_not_see_since_it_has_joined(feeds: Feeds, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of a long-poll, which takes nothing while it waits, is a recent one at its end."""
    monkeypatch.setattr(hub_module, "MAX_BATCHES", 3)
    client = feeds.client(HOME)
    client.subscription.close()
    client.subscription.join(0.0)
    feeds.report(row(1, 5, AWAY))
    feeds.report(row(2, 6, HOME))
    client.has_read(6)
    client.subscription.watch(client._wake)
    for number in range(7, 12):
        feeds.report(row(1, number, AWAY))
    assert client.wakes == 0
    assert client.take().checkpoint.places["document"].sequence == 11


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


def test_a_bare_tombstone_is_a_removal_from_its_last_project(feeds: Feeds) -> None:
    home, away = feeds.client(HOME), feeds.client(AWAY)
    feeds.report(FeedRow(StoredItem(DOCUMENT.doc_id(1), "2-a", {}, is_deleted=True), 1))
    assert (home.take().changes, away.wakes) == ((b"-d1",), 0)

"""Every version of an item is captured once, also after restarts, compaction and replication."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest

from app.couch.connection import Connection
from app.domain.history import capture_source
from app.domain.history.capture import LONG_LAG_SECONDS, PAUSE_SECONDS, Capture
from app.domain.history.capture_source import Source
from app.domain.resources import DOCUMENT, PROJECT
from app.errors import Unavailable
from app.metric_definitions import HISTORY_LAG, HISTORY_LOST, HISTORY_VERSIONS
from app.metrics import Metrics
from app.retention import Retention
from app.store import Database, Store
from app.store.exchange import Exchange
from app.store.version import Version
from app.store.versions import VersionStore
from couchapp import feed_identity
from couchapp.databases import Databases
from tests.clock import ManualClock
from tests.domain.history.items import START, History, moment
from tests.replication import replicate, revision
from tests.samples import value
from tests.waiting import wait_until

RETENTION = Retention(timedelta(days=90), 100)
MakeCapture = Callable[..., Capture]


@pytest.fixture
def documents(store: Store) -> Database:
    return store["documents"]


@pytest.fixture
def history(documents: Database) -> History:
    return History(documents)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def make_capture(store: Store, metrics: Metrics) -> MakeCapture:
    """Return the job as another process has it."""

    def make(
        now: Callable[[], datetime] = lambda: START, retention: Retention = RETENTION, clock: ManualClock | None = None
    ) -> Capture:
        return Capture(store, (PROJECT, DOCUMENT), retention, metrics, now, clock or ManualClock())

    return make


def run(capture: Capture) -> None:
    """Capture everything."""
    while capture.run(Event()) == 0.0:
        pass


def versions(store: Store, doc_id: str) -> list[Version]:
    """Return the captured versions of an item, oldest first."""
    return list(store.versions.page(doc_id, None, 1000).versions[::-1])


def titles(store: Store, doc_id: str) -> list[object]:
    """Return the titles of the captured versions, oldest first; a deletion and a lost version are named."""
    return [
        "deleted" if each.is_deleted else each.members["title"] if each.members else "lost"
        for each in versions(store, doc_id)
    ]


def compact(server_url: str, database: Database) -> None:
    """Remove the bodies of superseded revisions."""
    connection = Connection(server_url, timeout=30)
    connection.post(database.name, "_compact", body={})
    wait_until(lambda: not connection.get(database.name).body.get("compact_running"), "the end of the compaction")
    connection.close()


def test_each_version_is_captured_with_its_parents_and_principal(
    store: Store, history: History, make_capture: MakeCapture, metrics: Metrics
) -> None:
    first, second = history.write("A", 1), history.write("B", 2, content="x", project_id=3)
    run(make_capture())
    one, two = versions(store, history.doc_id)
    assert (one.members, one.parents, one.updated_at) == ({"title": "A"}, (), moment(1))
    assert (two.members, two.parents) == ({"title": "B", "content": "x", "project_id": 3}, (first,))
    assert [one.revision, two.revision, two.updated_by, two.created_at] == [first, second, "p-1", moment(0)]
    assert value(metrics, HISTORY_VERSIONS, "documents") == 2
    assert value(metrics, HISTORY_LOST, "documents") == 0


def test_versions_superseded_between_two_runs_are_captured(
    store: Store, history: History, make_capture: MakeCapture
) -> None:
    capture = make_capture()
    for titles_between in (["A"], ["B", "C", "D"], [], ["E"]):
        for title in titles_between:
            history.write(title)
        run(capture)
    history.delete()
    run(capture)
    assert titles(store, history.doc_id) == ["A", "B", "C", "D", "E", "deleted"]


def test_a_deletion_keeps_its_project_and_principal(store: Store, history: History, make_capture: MakeCapture) -> None:
    history.write("A", project_id=3)
    history.delete(project_id=3)
    run(make_capture())
    deletion = versions(store, history.doc_id)[-1]
    assert (deletion.is_deleted, deletion.members, deletion.updated_by) == (True, {"project_id": 3}, "p-2")


def test_a_compacted_version_is_lost(
    server_url: str, store: Store, documents: Database, history: History, make_capture: MakeCapture, metrics: Metrics
) -> None:
    first, second = history.write("A"), history.write("B")
    history.write("C")
    compact(server_url, documents)
    run(make_capture())
    assert titles(store, history.doc_id) == ["lost", "lost", "C"]
    assert [each.parents for each in versions(store, history.doc_id)] == [(), (first,), (second,)]
    assert value(metrics, HISTORY_LOST, "documents") == 2


def test_a_captured_version_survives_compaction_and_a_restart(
    server_url: str, store: Store, documents: Database, history: History, make_capture: MakeCapture
) -> None:
    history.write("A")
    history.write("B")
    run(make_capture())
    history.write("C")
    compact(server_url, documents)
    # A capture that has lost its place, such as one of a restored database.
    connection = Connection(server_url, timeout=30)
    feed_identity.renew(Databases(connection, documents.name.rpartition("-")[0]), "documents")
    connection.close()
    run(make_capture())
    assert titles(store, history.doc_id) == ["A", "B", "C"]


def test_a_capture_goes_on_where_another_stopped(
    store: Store, history: History, make_capture: MakeCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.write("A")
    run(make_capture())
    other = History(store["documents"], 8)
    other.write("B")
    written: list[str] = []
    write = VersionStore.write

    def noting(self: VersionStore, each: list[Version], *args: Any) -> list[Version]:
        written.extend(version.doc_id for version in each)
        return write(self, each, *args)

    monkeypatch.setattr(VersionStore, "write", noting)
    run(make_capture())
    assert written == [other.doc_id]


def test_a_capture_that_was_cut_off_misses_nothing(
    store: Store, history: History, make_capture: MakeCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies after each of its requests in turn."""
    history.write("A")
    run(make_capture())
    for title in "BCDE":
        history.write(title)
    History(store["documents"], 8).write("X")
    for count in range(100):
        with monkeypatch.context() as patch:
            requests = count_requests(patch, most=count)
            try:
                run(make_capture())
            except Unavailable:
                continue
            break
    assert 5 < len(requests) < 100
    assert titles(store, history.doc_id) == ["A", "B", "C", "D", "E"]


def test_two_captures_at_once_write_the_same(store: Store, history: History, make_capture: MakeCapture) -> None:
    one, other = make_capture(), make_capture()
    for title in "ABCDEF":
        history.write(title)
        run(one)
        run(other)
    assert titles(store, history.doc_id) == list("ABCDEF")


@pytest.mark.couchdb
def test_all_branches_of_a_conflict_are_captured(
    server_url: str, store: Store, documents: Database, history: History, make_capture: MakeCapture
) -> None:
    capture = make_capture()
    first = history.write("A")
    run(capture)
    history.write("B")
    there = {**history.current, "title": "there"}
    replicate(server_url, documents.name, (there, [revision(3, "f"), revision(2, "f"), first]))
    run(capture)
    assert set(titles(store, history.doc_id)) == {"A", "B", "there", "lost"}


@pytest.mark.couchdb
def test_versions_below_a_leaf_that_the_resolver_has_written_are_captured(
    server_url: str, store: Store, documents: Database, history: History, make_capture: MakeCapture
) -> None:
    capture = make_capture()
    first = history.write("A")
    run(capture)
    history.write("B")
    there = {**history.current, "title": "there"}
    replicate(server_url, documents.name, (there, [revision(2, "0"), first]))
    history.write("C")
    leaves = store.leaves("documents").read([history.doc_id])[history.doc_id]
    store.versions.write([Version.of_leaf(leaf, DOCUMENT.members) for leaf in leaves])
    history.write("merged")
    run(make_capture())
    assert set(titles(store, history.doc_id)) == {"A", "B", "there", "C", "merged"}


def test_an_edit_in_fauxton_has_no_principal(store: Store, history: History, make_capture: MakeCapture) -> None:
    history.write("A")
    history.edit_in_fauxton("B")
    history.store(history.current)
    run(make_capture())
    assert [each.updated_by for each in versions(store, history.doc_id)] == ["p-1", None, "p-1"]


def test_a_forgotten_item_is_not_captured(store: Store, history: History, make_capture: MakeCapture) -> None:
    history.write("A")
    run(make_capture())
    store.versions.forget(history.doc_id)
    history.delete()
    run(make_capture())
    assert store["history"].ids("version:", "version;", limit=10) == []


def test_versions_beyond_the_number_are_not_captured(store: Store, history: History, make_capture: MakeCapture) -> None:
    for title in "ABCDEF":
        history.write(title)
    run(make_capture(retention=Retention(timedelta(days=90), 2)))
    assert titles(store, history.doc_id) == ["D", "E", "F"]


def test_versions_superseded_too_long_ago_are_not_captured(
    store: Store, history: History, make_capture: MakeCapture
) -> None:
    run(make_capture())
    for day, title in enumerate("ABCD"):
        history.write(title, day * 24 * 60)
    run(make_capture(now=lambda: START + timedelta(days=91.5)))
    assert titles(store, history.doc_id) == ["B", "C", "D"]


def test_an_old_version_that_fauxton_replaced_now_is_captured(
    store: Store, history: History, make_capture: MakeCapture
) -> None:
    """Its successor kept the old time."""
    history.write("A", 0)
    capture = make_capture(now=lambda: START + timedelta(days=100))
    run(capture)
    history.edit_in_fauxton("B")
    history.edit_in_fauxton("C")
    run(capture)
    assert titles(store, history.doc_id) == ["A", "B", "C"]


def test_the_history_of_an_older_installation_begins_with_its_current_versions(
    store: Store, history: History, make_capture: MakeCapture
) -> None:
    for minutes, title in enumerate("ABC"):
        history.write(title, minutes)
    run(make_capture(now=lambda: START + timedelta(days=1)))
    assert titles(store, history.doc_id) == ["C"]
    capture = make_capture(now=lambda: START + timedelta(days=1))
    run(capture)
    history.write("D", 24 * 60)
    run(capture)
    assert titles(store, history.doc_id) == ["C", "D"]


def test_many_items_are_captured_in_a_few_requests(
    store: Store, documents: Database, make_capture: MakeCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"type": "document", "title": "A", "created_at": moment(0), "updated_at": moment(0), "nonce": "a" * 32}
    documents.write_many([{"_id": DOCUMENT.doc_id(each), "id": each, **fields} for each in range(1, 301)])
    requests = count_requests(monkeypatch)
    run(make_capture())
    assert len(store["history"].ids("version:", "version;", limit=1000)) == 300
    assert len(requests) < 40


def test_the_lag_is_the_time_since_everything_was_captured(
    store: Store, history: History, make_capture: MakeCapture, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_source, "ITEMS_PER_STEP", 1)
    monkeypatch.setattr("app.domain.history.capture.MAX_RUN_SECONDS", -1)
    clock = ManualClock(100)
    capture = make_capture(clock=clock)
    history.write("A")
    History(store["documents"], 8).write("B")
    clock.now = 105
    assert capture.run(Event()) >= PAUSE_SECONDS
    capture.report_state()
    assert value(metrics, HISTORY_LAG) == 5
    # Nothing else has written since, so that it goes on at once.
    assert capture.run(Event()) == 0.0
    run(capture)
    clock.now = 107
    capture.report_state()
    assert value(metrics, HISTORY_LAG) == 2
    capture.stand_by()
    capture.report_state()
    assert value(metrics, HISTORY_LAG) == 0


def test_the_pause_shrinks_while_the_lag_is_long(make_capture: MakeCapture, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock(0)

    def advance(_: Source) -> bool:
        clock.now += 1
        return False

    monkeypatch.setattr(Source, "advance", advance)
    monkeypatch.setattr(Source, "is_written_to", lambda _: True)
    capture = make_capture(clock=clock)
    pauses = []
    for lag in (0, LONG_LAG_SECONDS, 10 * LONG_LAG_SECONDS, 1000 * LONG_LAG_SECONDS):
        clock.now = lag
        pauses.append(capture.run(Event()))
    # A run takes two seconds: one for each type of items.
    assert pauses == [40, 40, 4, PAUSE_SECONDS]


def test_without_its_database_nothing_is_captured(store: Store, make_capture: MakeCapture, server_url: str) -> None:
    connection = Connection(server_url, timeout=30)
    connection.request("DELETE", store["history"].name)
    with pytest.raises(Unavailable):
        make_capture().run(Event())
    connection.close()


def count_requests(monkeypatch: pytest.MonkeyPatch, most: int = 1000) -> list[str]:
    """Note the method of every request to the database in a list; those after ``most`` fail, and are not sent."""
    requests: list[str] = []
    original = Exchange._ask

    def ask(self: Exchange, method: str, *args: Any, **options: Any) -> Any:
        requests.append(method)
        if len(requests) > most:
            raise Unavailable
        return original(self, method, *args, **options)

    monkeypatch.setattr(Exchange, "_ask", ask)
    return requests

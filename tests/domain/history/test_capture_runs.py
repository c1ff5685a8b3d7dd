"""Captures miss nothing and repeat nothing, also after restarts and failures, and report their lag."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from app.couch.connection import Connection
from app.domain.history import capture_source
from app.domain.history.capture import LONG_LAG_SECONDS, PAUSE_SECONDS
from app.domain.history.capture_source import Source
from app.domain.resources import DOCUMENT
from app.errors import Unavailable
from app.metric_definitions import HISTORY_LAG
from app.metrics import Metrics
from app.store import Database, Store
from app.store.version import Version
from app.store.versions import VersionStore
from couchapp import feed_identity
from couchapp.databases import Databases
from tests.clock import ManualClock
from tests.domain.history.captures import MakeCapture, compact, count_requests, run, titles
from tests.domain.history.items import History, moment
from tests.samples import value


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

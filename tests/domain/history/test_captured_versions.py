"""Every version of an item is captured unless it is lost, forgotten or too old."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.resources import DOCUMENT
from app.metric_definitions import HISTORY_LOST, HISTORY_VERSIONS
from app.metrics import Metrics
from app.retention import Retention
from app.store import Database, Store
from app.store.version import Version
from tests.domain.history.captures import MakeCapture, compact, run, titles, versions
from tests.domain.history.items import START, History, moment
from tests.replication import replicate, revision
from tests.samples import value


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

"""The sweep deletes versions that are due, a small part at a time, and nothing that an open conflict needs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Event

import pytest

from app.domain.history import retention
from app.domain.history.retention import IDLE_SWEEP_SECONDS, SWEEP_SECONDS, Sweep
from app.metric_definitions import HISTORY_DELETED
from app.metrics import Metrics
from app.retention import Retention
from app.store import Store
from app.store.version import Version
from tests.clock import ManualClock
from tests.domain.history.items import START, History, moment
from tests.replication import replicate, revision
from tests.samples import value

MakeSweep = Callable[..., Sweep]
DAY_MINUTES = 24 * 60


def doc_id(number: int) -> str:
    return f"document:{number:016d}"


def chain(number: int, count: int, days: float = 0) -> list[Version]:
    """Return versions of one document, one each day, the first ``days`` after START."""
    return [
        Version(
            doc_id(number),
            revision(generation, "a"),
            {"title": "A"},
            moment(0),
            moment((days + generation - 1) * DAY_MINUTES),
            "p-1",
            (revision(generation - 1, "a"),) if generation > 1 else (),
            f"{generation:032}",
        )
        for generation in range(1, count + 1)
    ]


def generations(store: Store, number: int) -> list[int]:
    """Return the generations of the versions that are left of a document, oldest first."""
    rows = store["history"].ids(f"version:{doc_id(number)}:", f"version:{doc_id(number)};", limit=1000)
    return [int(row.id.split(":")[3].partition("-")[0]) for row in rows]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def make_sweep(store: Store, metrics: Metrics, clock: ManualClock) -> MakeSweep:
    def make(days: float = 90, versions: int = 100, now: float = 0) -> Sweep:
        return Sweep(
            store, Retention(timedelta(days=days), versions), metrics, lambda: START + timedelta(days=now), clock
        )

    return make


def sweep_all(sweep: Sweep) -> int:
    """Sweep until the end; return the number of runs."""
    runs = 0
    while sweep.run(Event()) < SWEEP_SECONDS:
        runs += 1
    return runs


def test_old_versions_and_those_beyond_the_number_are_deleted(
    store: Store, make_sweep: MakeSweep, metrics: Metrics
) -> None:
    store.versions.write([*chain(1, 6), *chain(2, 2), *chain(3, 1)])
    sweep_all(make_sweep(days=90, now=92))
    assert [generations(store, number) for number in (1, 2, 3)] == [[2, 3, 4, 5, 6], [2], [1]]
    assert value(metrics, HISTORY_DELETED) == 2
    sweep_all(make_sweep(versions=2))
    assert generations(store, 1) == [4, 5, 6]


def test_a_sweep_goes_on_where_the_last_run_ended(
    store: Store, make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "IDS_PER_RUN", 5)
    store.versions.write([version for number in range(1, 8) for version in chain(number, 3)])
    store.versions.write(chain(4, 9))
    runs = sweep_all(make_sweep(versions=1))
    assert [generations(store, number) for number in range(1, 8)] == [[2, 3]] * 3 + [[8, 9]] + [[2, 3]] * 3
    assert runs > 5


def test_an_item_with_very_many_versions_is_cut_by_and_by(
    store: Store, make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "IDS_PER_RUN", 5)
    store.versions.write(chain(1, 40))
    counts = []
    for _ in range(9):
        sweep_all(make_sweep(versions=1))
        counts.append(len(generations(store, 1)))
    assert counts[0] > 2
    assert counts[-1] == 2


@pytest.mark.couchdb
def test_an_open_conflict_keeps_all_versions(server_url: str, store: Store, make_sweep: MakeSweep) -> None:
    """The history may not have the other leaf yet."""
    history = History(store["documents"], 1)
    first = history.write("A")
    history.write("B")
    replicate(server_url, store["documents"].name, (history.current, [revision(3, "f"), revision(2, "f"), first]))
    store.versions.write(chain(1, 4))
    sweep_all(make_sweep(versions=1))
    assert generations(store, 1) == [1, 2, 3, 4]


def test_versions_of_a_forgotten_item_are_deleted(store: Store, make_sweep: MakeSweep) -> None:
    """They may have arrived by replication after the mark."""
    store.versions.write([*chain(1, 1), *chain(3, 2)])
    store.versions.forget(doc_id(2))
    for version in chain(2, 2):
        store["history"].create(version.document())
    sweep_all(make_sweep())
    assert [generations(store, number) for number in (1, 2, 3)] == [[1], [], [1, 2]]


def test_a_forgotten_item_is_found_beside_many_others(
    store: Store, make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "IDS_PER_RUN", 3)
    store.versions.write(chain(1, 1))
    for number in range(2, 7):
        store.versions.forget(doc_id(number))
    store["history"].create(chain(6, 1)[0].document())
    sweep_all(make_sweep())
    assert [generations(store, number) for number in (1, 6)] == [[1], []]


def test_a_deleted_version_is_not_captured_again(store: Store, make_sweep: MakeSweep) -> None:
    store.versions.write(chain(1, 3))
    sweep_all(make_sweep(versions=1))
    assert store.versions.write(chain(1, 3)) == []
    assert generations(store, 1) == [2, 3]


def test_a_sweep_begins_again_after_new_versions(store: Store, make_sweep: MakeSweep, clock: ManualClock) -> None:
    sweep = make_sweep(versions=1)
    store.versions.write(chain(1, 3))
    sweep_all(sweep)
    store.versions.write(chain(2, 3))
    sweep_all(sweep)
    assert generations(store, 2) == [1, 2, 3]
    clock.now += SWEEP_SECONDS
    sweep_all(sweep)
    assert generations(store, 2) == [2, 3]
    clock.now += SWEEP_SECONDS
    sweep_all(sweep)
    clock.now += SWEEP_SECONDS
    assert sweep.run(Event()) == SWEEP_SECONDS
    clock.now += IDLE_SWEEP_SECONDS
    assert sweep.run(Event()) < SWEEP_SECONDS


def test_two_sweeps_delete_the_same(store: Store, make_sweep: MakeSweep) -> None:
    store.versions.write([version for number in range(1, 4) for version in chain(number, 4)])
    one, other = make_sweep(versions=1), make_sweep(versions=1)
    rows = store["history"].ids("version:", "version;", limit=100)
    sweep_all(one)
    assert store.versions.delete(rows[:2]) == 0
    other.stand_by()
    sweep_all(other)
    assert [generations(store, number) for number in range(1, 4)] == [[3, 4]] * 3

"""A sweep deletes the records of requests that are over, all of them if it has time, and no others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Event
from typing import Any

import pytest

from app.domain import idempotency
from app.domain.idempotency import RETENTION, Idempotency
from app.domain.resources import stamp
from app.store import Database, DocumentFailure, Revision

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PAGE = 10


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "SWEEP_SIZE", PAGE)
    monkeypatch.setattr(idempotency, "MAX_SWEEP_SECONDS", 1000.0)


def record(number: int, created: datetime) -> dict[str, Any]:
    """Return a record as it is stored when a request begins."""
    return {
        "_id": f"idempotency:{sha256(str(number).encode()).hexdigest()}",
        "type": "idempotency",
        "request": "0" * 64,
        "attempt": "0" * 32,
        "ids": [],
        "created_at": stamp(created),
        "leased_until": stamp(created),
    }


def begun(meta: Database, *ages: timedelta) -> list[str]:
    """Store and index records of requests that began ``ages`` before noon. Returns their `_id`s."""
    outcomes = meta.write_many([record(number, NOON - age) for number, age in enumerate(ages)])
    assert not [outcome for outcome in outcomes.values() if isinstance(outcome, DocumentFailure)]
    meta.view("expiry", "by_time")
    return list(outcomes)


def over(count: int) -> list[timedelta]:
    """Return ``count`` different ages of expired records."""
    return [RETENTION + timedelta(microseconds=number) for number in range(count)]


def left(meta: Database) -> set[str]:
    return {row.id for row in meta.ids("idempotency:", "idempotency;", limit=1000)}


def sweeper(meta: Any) -> Idempotency:
    return Idempotency(meta, 5.0, lambda: NOON)


class Between:
    """A database where another event comes before each write of a sweep."""

    def __init__(self, meta: Database, *happening: Any) -> None:
        self.view, self._meta, self._happening = meta.view, meta, list(happening)
        self.get = meta.get

    def delete_many(self, revisions: list[Revision]) -> Any:
        if self._happening:
            self._happening.pop(0)()
        return self._meta.delete_many(revisions)


def test_a_sweep_deletes_exactly_the_expired_records(meta: Database) -> None:
    young = [RETENTION - timedelta(microseconds=1), timedelta(), timedelta(minutes=-1)]
    expected = set(begun(meta, *young, *over(3 * PAGE + 5))[: len(young)])
    assert sweeper(meta).sweep() == 3 * PAGE + 5
    assert left(meta) == expected
    assert sweeper(meta).sweep() == 0


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE - 1])
def test_a_page_that_is_full_or_not_ends_no_sweep_early(meta: Database, count: int) -> None:
    begun(meta, *over(count))
    assert sweeper(meta).sweep() == count
    assert left(meta) == set()


def test_a_sweep_ends_when_its_time_is_over(meta: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest waits for the next; the oldest go first."""
    ids = begun(meta, *over(3 * PAGE))
    monkeypatch.setattr(idempotency, "MAX_SWEEP_SECONDS", 0.0)
    for remaining in (2 * PAGE, PAGE, 0):
        # A lagging view may still show deleted records.
        meta.view("expiry", "by_time")
        assert sweeper(meta).sweep() == PAGE
        assert left(meta) == set(ids[:remaining])


def test_a_sweep_ends_with_its_process(meta: Database) -> None:
    ending = Event()
    begun(meta, *over(3 * PAGE))
    assert sweeper(Between(meta, ending.set)).sweep(ending) == PAGE
    assert sweeper(meta).sweep(ending) == 0
    assert len(left(meta)) == 2 * PAGE


def test_sweeps_that_meet_are_in_nobody_s_way(meta: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Records that another sweep has deleted, or that a stale view still shows, are skipped."""
    begun(meta, *over(3 * PAGE))
    swept: list[int] = []
    first = sweeper(Between(meta, lambda: swept.append(sweeper(meta).sweep())))
    assert first.sweep() == 0
    assert swept == [3 * PAGE]
    assert left(meta) == set()
    assert caplog.records == []


def test_a_record_renewed_during_a_sweep_stays(meta: Database) -> None:
    [doc_id] = begun(meta, RETENTION)
    record = meta.get(doc_id)
    assert record is not None
    again = {**record, "created_at": stamp(NOON)}
    assert sweeper(Between(meta, lambda: meta.replace(again))).sweep() == 0
    assert left(meta) == {doc_id}


def test_refused_deletions_are_logged(meta: Database, caplog: pytest.LogCaptureFixture) -> None:
    begun(meta, *over(2))

    class Refusing(Between):
        def delete_many(self, revisions: list[Revision]) -> Any:
            return {each.id: DocumentFailure.FORBIDDEN for each in revisions}

    assert sweeper(Refusing(meta)).sweep() == 0
    assert [vars(each)["records"] for each in caplog.records] == [2]

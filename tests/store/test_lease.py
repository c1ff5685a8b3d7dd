"""One process at a time holds a lease, until it expires or is released."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.resources import stamp
from app.store import Database
from app.store.lease import LEASE_SECONDS, Lease

MakeLease = Callable[[], Lease]


class Moments:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def moments() -> Moments:
    return Moments()


@pytest.fixture
def make_lease(documents: Database, moments: Moments) -> MakeLease:
    """Return the lease as another process sees it."""
    return lambda: Lease(documents, "capture", moments, stamp)


def test_one_process_holds_a_lease(make_lease: MakeLease) -> None:
    one, other = make_lease(), make_lease()
    assert [one.hold(), other.hold(), one.hold()] == [True, False, True]


def test_a_released_lease_is_free_at_once(make_lease: MakeLease, documents: Database) -> None:
    one, other = make_lease(), make_lease()
    one.hold()
    one.release()
    assert [other.hold(), one.hold()] == [True, False]
    before = documents.get("lease:capture")
    one.release()
    assert documents.get("lease:capture") == before


def test_a_lease_of_a_killed_process_expires(make_lease: MakeLease, moments: Moments) -> None:
    one, other = make_lease(), make_lease()
    one.hold()
    moments.advance(LEASE_SECONDS - 1)
    assert not other.hold()
    moments.advance(1)
    assert other.hold()
    assert not one.hold()


def test_a_lease_is_renewed_in_the_second_half_of_its_time(
    make_lease: MakeLease, moments: Moments, documents: Database
) -> None:
    one, other = make_lease(), make_lease()
    one.hold()
    written = documents.get("lease:capture")
    moments.advance(LEASE_SECONDS / 2 - 1)
    assert one.hold()
    assert documents.get("lease:capture") == written
    moments.advance(1)
    assert one.hold()
    moments.advance(LEASE_SECONDS - 1)
    assert not other.hold()


def test_the_loser_of_a_race_does_not_hold_the_lease(
    make_lease: MakeLease, documents: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = make_lease(), make_lease()
    get = Database.get

    def meanwhile(self: Database, doc_id: str) -> object:
        document = get(self, doc_id)
        monkeypatch.undo()
        assert other.hold()
        return document

    monkeypatch.setattr(Database, "get", meanwhile)
    assert not one.hold()
    assert documents.get("lease:capture") is not None

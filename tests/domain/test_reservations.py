"""Reservations of ids: their validity, and their size."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from app.domain.reservations import MAX_TEXT_BYTES, VALIDITY, Reservations
from app.domain.resources import DOCUMENT, PROJECT, ResourceType
from app.errors import Forbidden, Unavailable
from app.store.claimed_ids import block
from app.store.feed import Feed

pytestmark = pytest.mark.nodatabase

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
IDS = (1, 2, 3, 7, 9, 10)


class Installation:
    """A feed with an identity, and a clock."""

    def __init__(self) -> None:
        self.current: str | None = "first"
        self.time = NOON

    def identity(self) -> str | None:
        """Return the identity of the feed."""
        return self.current

    def reservations(self, *secrets: str) -> Reservations:
        """Return the reservations of this installation."""
        return Reservations(cast(Feed, self), secrets or ("a secret",), lambda: self.time)

    def admits(
        self, text: str, public_id: int, *secrets: str, principal: str = "ada", resource_type: ResourceType = DOCUMENT
    ) -> bool:
        """Return whether a reservation admits an id."""
        try:
            self.reservations(*secrets).read(text, principal, resource_type).check(public_id)
        except Forbidden:
            return False
        return True


@pytest.fixture
def installation() -> Installation:
    """An installation at noon."""
    return Installation()


@pytest.fixture
def text(installation: Installation) -> str:
    """A reservation of IDS."""
    return installation.reservations().issue("ada", DOCUMENT, reversed(IDS)).text


def test_a_reservation_admits_its_ids_alone(installation: Installation, text: str) -> None:
    assert [public_id for public_id in range(13) if installation.admits(text, public_id)] == list(IDS)


def test_a_reservation_is_in_rising_order_and_ends_after_thirty_days(installation: Installation) -> None:
    reservation = installation.reservations().issue("ada", DOCUMENT, reversed(IDS))
    assert (reservation.ids, reservation.expires_at) == (IDS, "2026-01-31T12:00:00.000000Z")


def test_a_reservation_expires(installation: Installation, text: str) -> None:
    installation.time = NOON + VALIDITY - timedelta(seconds=1)
    assert installation.admits(text, 1)
    installation.time = NOON + VALIDITY
    assert not installation.admits(text, 1)


@pytest.mark.parametrize("other", [{"principal": "eve"}, {"resource_type": PROJECT}])
def test_a_reservation_belongs_to_a_principal_and_a_type(
    installation: Installation, text: str, other: dict[str, Any]
) -> None:
    assert not installation.admits(text, 1, **other)


def test_a_restore_ends_a_reservation(installation: Installation, text: str) -> None:
    installation.current = "second"
    assert not installation.admits(text, 1)


def test_a_database_without_an_identity_takes_no_reservation(installation: Installation, text: str) -> None:
    installation.current = None
    with pytest.raises(Unavailable):
        installation.admits(text, 1)
    with pytest.raises(Unavailable):
        installation.reservations().issue("ada", DOCUMENT, IDS)


def test_a_secret_can_be_rotated(installation: Installation, text: str) -> None:
    assert installation.admits(text, 1, "a new secret", "a secret")
    assert not installation.admits(text, 1, "a new secret")


def test_every_other_spelling_is_refused(installation: Installation, text: str) -> None:
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_="
    assert [letter for letter in last if installation.admits(text[:-1] + letter, 1)] == [text[-1]]


@pytest.mark.parametrize("forged", ["x", ".", "W10.x", "\x00", "é", "." * 2048])
def test_a_forged_reservation_admits_nothing(installation: Installation, text: str, forged: str) -> None:
    assert not installation.admits(forged, 1)
    assert not installation.admits(text + forged, 1)
    assert not installation.admits(forged + text, 1)


@pytest.mark.parametrize("regions", [1, 2, 3, 10])
@pytest.mark.parametrize("first", [0, 90, 180, 1170, 9_000_000])
def test_a_reservation_of_a_thousand_ids_fits_its_limit(installation: Installation, first: int, regions: int) -> None:
    """Other processes may have claimed the blocks between; a region owns every n-th block."""
    ids = [public_id for number in range(first, first + 1100 * regions, regions) for public_id in block(number)][:1000]
    reservation = installation.reservations().issue("ada", DOCUMENT, ids)
    assert len(reservation.text) <= MAX_TEXT_BYTES
    assert all(installation.admits(reservation.text, public_id) for public_id in ids[::99])
